import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.trainer.short_jobs import CPU, Splits, advance, fresh, tensors_of, tiny_job
from trainer.batches import Images, Streamed, batch_indices, load_images
from trainer.data import DataSet, Split, open_split


def unlabelled(num_images: int) -> Tensor:
    """Labels of images of one class."""
    return torch.zeros(num_images, dtype=torch.int64)


@given(num_images=st.integers(1, 300), batch_size=st.integers(1, 320), epoch=st.integers(0, 5))
@settings(deadline=None)
def test_an_epoch_takes_every_image_at_most_once_and_leaves_less_than_a_batch(
    num_images: int, batch_size: int, epoch: int
) -> None:
    order = batch_indices(unlabelled(num_images), batch_size=batch_size, seed=0, epoch=epoch)

    taken = order.flatten().tolist()
    assert order.shape[1] == min(batch_size, num_images)
    assert len(set(taken)) == len(taken)
    assert set(taken) <= set(range(num_images))
    assert 0 <= num_images - len(taken) < order.shape[1]


def test_whole_batches_make_a_permutation() -> None:
    order = batch_indices(unlabelled(48), batch_size=16, seed=0, epoch=0)

    assert order.shape == (3, 16)
    assert sorted(order.flatten().tolist()) == list(range(48))


def test_the_images_left_out_differ_from_epoch_to_epoch() -> None:
    left_out = {
        frozenset(range(50)) - set(batch_indices(unlabelled(50), batch_size=16, seed=0, epoch=epoch).flatten().tolist())
        for epoch in range(4)
    }

    assert len(left_out) == 4


@pytest.mark.parametrize("batch_size", [64, 65, 65_536])
def test_a_split_no_larger_than_a_batch_is_one_batch(batch_size: int) -> None:
    assert batch_indices(unlabelled(64), batch_size=batch_size, seed=0, epoch=0).shape == (1, 64)


UNEVEN = torch.tensor([0] * 60 + [1] * 30 + [2] * 6)


def drawn(balance: float, epoch: int = 0) -> list[int]:
    order: list[int] = batch_indices(UNEVEN, batch_size=8, seed=0, epoch=epoch, balance=balance).flatten().tolist()
    return order


def test_a_balanced_epoch_shows_every_class_as_often() -> None:
    order = drawn(1.0)

    assert len(order) == 96
    assert torch.bincount(UNEVEN[order]).tolist() == [32, 32, 32]


def test_between_none_and_full_balance_shares_are_powers_of_the_counts() -> None:
    shares = sum(torch.bincount(UNEVEN[drawn(0.5, epoch)]) for epoch in range(40)) / (40 * 96)

    roots = torch.tensor([60.0, 30.0, 6.0]).sqrt()
    assert torch.allclose(shares, roots / roots.sum(), atol=0.005)  # type: ignore[arg-type]


@given(balance=st.floats(0.01, 1), epoch=st.integers(0, 50))
@settings(deadline=None, max_examples=40)
def test_images_of_a_class_are_drawn_equally_often_but_for_one(balance: float, epoch: int) -> None:
    times = torch.bincount(torch.tensor(drawn(balance, epoch)), minlength=len(UNEVEN))

    for k in range(3):
        of_class = times[k == UNEVEN]
        assert of_class.max() - of_class.min() <= 1


def test_a_class_without_images_is_never_drawn() -> None:
    labels = torch.tensor([0, 0, 0, 2])

    order = batch_indices(labels, batch_size=4, seed=0, epoch=0, balance=1.0)

    assert torch.bincount(labels[order.flatten()], minlength=3).tolist() == [2, 0, 2]


def test_the_order_is_decided_by_seed_and_epoch_alone() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = batch_indices(unlabelled(40), batch_size=8, seed=3, epoch=2)
        torch.manual_seed(2)
        second = batch_indices(unlabelled(40), batch_size=8, seed=3, epoch=2)

    assert torch.equal(first, second)


@pytest.mark.parametrize(("seed", "epoch"), [(3, 1), (4, 2)])
def test_another_seed_or_epoch_is_another_order(seed: int, epoch: int) -> None:
    one = batch_indices(unlabelled(40), batch_size=8, seed=3, epoch=2)
    other = batch_indices(unlabelled(40), batch_size=8, seed=seed, epoch=epoch)

    assert not torch.equal(one, other)


def test_images_are_taken_with_their_labels_in_the_order_asked_for(stripes: DataSet, splits: Splits) -> None:
    split = open_split(stripes, "train")

    pixels, labels = splits.train.take(torch.tensor([5, 0, 5]))

    assert labels.tolist() == split.labels[[5, 0, 5]].tolist()
    expected = split.images[[5, 0, 5]].astype(np.float32).transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(pixels.numpy(), expected, rtol=1e-6)


def test_images_taken_lie_between_zero_and_one_and_channels_last(splits: Splits) -> None:
    pixels, _ = splits.train.take(torch.arange(20))

    assert pixels.shape == (20, 3, 16, 16)
    assert pixels.dtype == torch.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert pixels.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["stripes", "digits"])
def test_normalised_training_images_have_mean_zero_and_deviation_one(name: str, request: pytest.FixtureRequest) -> None:
    data_set: DataSet = request.getfixturevalue(name)
    images = load_images(open_split(data_set, "train"), data_set.moments, CPU)

    pixels, _ = images.take(torch.arange(len(images)))
    channels = images.normalise(pixels).double().transpose(0, 1).flatten(1)

    torch.testing.assert_close(channels.mean(1), torch.zeros(len(channels)).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(channels.std(1, correction=0), torch.ones(len(channels)).double(), rtol=0, atol=1e-5)


def test_validation_images_are_normalised_as_training_images_are(splits: Splits) -> None:
    assert torch.equal(splits.val.mean, splits.train.mean)
    assert torch.equal(splits.val.std, splits.train.std)


def test_a_channel_that_is_the_same_everywhere_stays_finite(stripes: DataSet) -> None:
    constant = replace(stripes, image_shape=(2, 2, 1), mean=(0.2,), std=(0.0,))
    split = Split(np.full((3, 2, 2, 1), 51, dtype=np.uint8), np.zeros(3, dtype=np.int64))
    images = load_images(split, constant.moments, CPU)

    pixels, _ = images.take(torch.arange(3))

    assert images.normalise(pixels).abs().max() < 1e-5


@pytest.mark.parametrize("size", [1, 7, 16, 100])
def test_portions_are_the_split_in_order(splits: Splits, size: int) -> None:
    portions = list(splits.val.portions(size))

    whole, labels = splits.val.take(torch.arange(len(splits.val)))
    assert all(len(pixels) == size for pixels, _ in portions[:-1])
    assert torch.equal(torch.cat([pixels for pixels, _ in portions]), splits.val.normalise(whole))
    assert torch.equal(torch.cat([some for _, some in portions]), labels)


def test_an_empty_split_has_no_portions() -> None:
    empty = Images(
        torch.zeros((0, 4, 4, 1), dtype=torch.uint8),
        torch.zeros(0, dtype=torch.int64),
        mean=torch.zeros(1, 1, 1),
        std=torch.ones(1, 1, 1),
    )

    assert len(empty) == 0
    assert list(empty.portions(5)) == []


class Watched(Tensor):
    """Pixels that note the name of each thread that reads them."""

    readers: list[str]

    def __getitem__(self, indices: object) -> Tensor:
        self.readers.append(threading.current_thread().name)
        return self.as_subclass(Tensor)[indices]  # type: ignore[index]


def streamed(images: Images) -> tuple[Streamed, list[str]]:
    pixels = images.pixels.as_subclass(Watched)  # type: ignore[arg-type]
    pixels.readers = []
    return Streamed(pixels, images.labels, images.mean, images.std), pixels.readers


def test_what_is_announced_is_fetched_by_another_thread_and_is_the_same(splits: Splits) -> None:
    images, readers = streamed(splits.train)
    first, second = torch.arange(5), torch.tensor([9, 2, 2])

    images.announce(second)
    found = [images.take(first), images.take(second)]

    assert sum(name.startswith("ThreadPool") for name in readers) == 1
    assert len(readers) == 2
    for (pixels, labels), indices in zip(found, (first, second), strict=True):
        expected, expected_labels = splits.train.take(indices)
        assert torch.equal(pixels, expected)
        assert torch.equal(labels, expected_labels)
    assert not images.ahead


def test_training_and_scoring_on_a_stream_fetch_ahead_and_are_the_same_to_the_last_bit(splits: Splits) -> None:
    config = tiny_job(splits.data_set)
    (train, train_readers), (val, _) = streamed(splits.train), streamed(splits.val)
    stream = Splits(splits.data_set, train, val)

    one, other = fresh(config, splits), fresh(config, stream)
    train_readers.clear()
    advance(one, config, splits)
    advance(other, config, stream)

    expected = tensors_of(one)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors_of(other).items())
    assert sum(name.startswith("ThreadPool") for name in train_readers) == 6  # of 8 batches all but each epoch's first
    assert not train.ahead


@pytest.mark.parametrize(("times", "kind"), [(1.9, Streamed), (2.1, Images)])
def test_images_beyond_half_the_free_memory_are_streamed(
    stripes: DataSet, monkeypatch: pytest.MonkeyPatch, times: float, kind: type[Images]
) -> None:
    split = open_split(stripes, "train")
    free = SimpleNamespace(available=times * split.images.nbytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)

    images = load_images(split, stripes.moments, CPU)

    assert type(images) is kind


def test_a_disk_that_fails_under_a_stream_is_told_where_the_images_are_taken(splits: Splits) -> None:
    images, _ = streamed(splits.train)
    beyond = torch.tensor([10_000])

    images.announce(beyond)

    with pytest.raises(IndexError):
        images.take(beyond)
