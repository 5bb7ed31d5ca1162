import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.trainer.short_jobs import MODELS, Splits, fresh, tiny_job
from trainer.batches import Images
from trainer.errors import DataError
from trainer.evaluate import images_to_score, predict, score
from trainer.results import Evaluation


def slow_score(logits: list[list[float]], labels: list[int]) -> Evaluation:
    """What `score` computes, in plain Python."""
    loss = hits = top5_hits = 0.0
    for row, label in zip(logits, labels, strict=True):
        largest = max(row)
        loss += math.log(sum(math.exp(x - largest) for x in row)) + largest - row[label]
        ranked = sorted(range(len(row)), key=lambda k: -row[k])
        hits += ranked[0] == label
        top5_hits += label in ranked[:5]
    num = len(labels)
    recalls, f1s = zip(*(_of_class(logits, labels, k) for k in sorted(set(labels))), strict=True)
    return Evaluation(
        loss=loss / num,
        accuracy=hits / num,
        top5_accuracy=top5_hits / num,
        num_images=num,
        balanced_accuracy=sum(recalls) / len(recalls),
        f1_macro=sum(f1s) / len(f1s),
    )


def _of_class(logits: list[list[float]], labels: list[int], k: int) -> tuple[float, float]:
    """Recall and F1 of one class, in plain Python."""
    told = [row.index(max(row)) for row in logits]
    right = sum(t == label == k for t, label in zip(told, labels, strict=True))
    return right / labels.count(k), 2 * right / (labels.count(k) + told.count(k))


@given(num_images=st.integers(1, 30), num_classes=st.integers(2, 12), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=50)
def test_scores_equal_those_of_plain_python(num_images: int, num_classes: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn((num_images, num_classes), generator=rng)
    labels = torch.randint(num_classes, (num_images,), generator=rng)

    found, expected = score(logits, labels), slow_score(logits.tolist(), labels.tolist())

    assert found.loss == pytest.approx(expected.loss, rel=1e-5, abs=1e-6)
    assert found.accuracy == pytest.approx(expected.accuracy)
    assert found.top5_accuracy == pytest.approx(expected.top5_accuracy)
    assert found.balanced_accuracy == pytest.approx(expected.balanced_accuracy)
    assert found.f1_macro == pytest.approx(expected.f1_macro)
    assert found.num_images == expected.num_images


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_with_five_classes_or_fewer_the_top_five_always_hit(num_classes: int) -> None:
    logits = torch.eye(num_classes)

    assert score(logits, torch.zeros(num_classes, dtype=torch.int64)).top5_accuracy == 1


def test_an_image_is_scored_by_its_own_label() -> None:
    logits = torch.tensor([[9.0, 0, 0], [0, 9, 0], [0, 0, 9], [0, 0, 9]])

    assert score(logits, torch.tensor([0, 1, 2, 0])).accuracy == 0.75


class Recorder(nn.Module):
    """A model that notes in which mode and in how large portions it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 4)
        self.was_training: list[bool] = []
        self.portions: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.was_training.append(self.training)
        self.portions.append(len(images))
        logits: Tensor = self.head(images.mean(dim=(2, 3)))
        return logits


@given(
    counts=st.lists(st.integers(1, 900), min_size=2, max_size=12),
    num_train=st.integers(0, 40_000),
    seed=st.integers(0, 100),
)
@settings(deadline=None, max_examples=50)
def test_early_on_every_class_is_scored_by_the_same_share(counts: list[int], num_train: int, seed: int) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]

    numbers = images_to_score(labels, num_train=num_train, epoch=0.5)

    share = min(1.0, max(500, 0.15 * 0.5 * num_train) / len(labels))
    found = labels[numbers].bincount(minlength=len(counts))
    assert numbers.tolist() == sorted(set(numbers.tolist()))
    assert all(abs(n - max(1, share * count)) <= 1 for n, count in zip(found.tolist(), counts, strict=True))


def test_the_same_images_are_scored_whenever_as_many_were_trained_on() -> None:
    labels = torch.arange(10).repeat(200)

    first, again = (images_to_score(labels, num_train=50_000, epoch=0.1) for _ in range(2))

    assert len(first) == 750
    assert torch.equal(first, again)


@pytest.mark.parametrize(
    ("num_images", "num_train", "epoch"),
    [(2000, 5000, 1.0), (500, 0, 0.5), (700, 50_000, 0.1), (0, 0, 0.5)],
    ids=["after an epoch", "few", "few beside those trained on", "none"],
)
def test_else_the_whole_split_is_scored(num_images: int, num_train: int, epoch: float) -> None:
    labels = torch.arange(num_images) % 5

    numbers = images_to_score(labels, num_train=num_train, epoch=epoch)

    assert numbers.tolist() == list(range(num_images))


def test_wanted_images_are_predicted_in_the_order_of_their_numbers(splits: Splits) -> None:
    model = Recorder()
    numbers = torch.tensor([3, 4, 11])

    whole = predict(model, splits.val, portion=16, precision=torch.float32)
    some = predict(model, splits.val, portion=2, precision=torch.float32, numbers=numbers)

    torch.testing.assert_close(some, whole[numbers], rtol=0, atol=1e-6)


@pytest.mark.parametrize("is_training", [True, False])
def test_a_model_is_evaluated_in_eval_mode_and_gets_its_mode_back(splits: Splits, is_training: bool) -> None:
    model = Recorder().train(is_training)

    predict(model, splits.val, portion=5, precision=torch.float32)

    assert model.training is is_training
    assert not any(model.was_training)


def test_no_portion_is_larger_than_asked_for(splits: Splits) -> None:
    model = Recorder()

    predict(model, splits.val, portion=5, precision=torch.float32)

    assert model.portions == [5, 5, 5, 1]


@pytest.mark.parametrize("name", list(MODELS))
def test_the_size_of_portions_does_not_change_the_logits(splits: Splits, name: str) -> None:
    model = fresh(tiny_job(splits.data_set, MODELS[name]), splits).model

    whole = predict(model, splits.val, portion=100, precision=torch.float32)
    parts = predict(model, splits.val, portion=3, precision=torch.float32)

    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5)


def test_logits_are_float32_in_any_precision_and_carry_no_gradient(splits: Splits) -> None:
    logits = predict(Recorder(), splits.val, portion=8, precision=torch.bfloat16)

    assert logits.shape == (16, 4)
    assert logits.dtype == torch.float32
    assert not logits.requires_grad


def test_lower_precision_gives_nearly_the_same_logits(splits: Splits) -> None:
    model = Recorder()

    full = predict(model, splits.val, portion=8, precision=torch.float32)
    half = predict(model, splits.val, portion=8, precision=torch.bfloat16)

    torch.testing.assert_close(half, full, rtol=0.05, atol=0.05)
    assert not torch.equal(half, full)


def test_an_empty_split_is_refused(splits: Splits) -> None:
    empty = Images(splits.val.pixels[:0], splits.val.labels[:0], splits.val.mean, splits.val.std)

    with pytest.raises(DataError, match=r"^Cannot evaluate on an empty split\.$"):
        predict(Recorder(), empty, portion=5, precision=torch.float32)
