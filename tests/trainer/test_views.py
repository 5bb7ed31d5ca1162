"""Test-time augmentation."""

from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from tests.trainer.job_desk import Desk
from tests.trainer.short_jobs import Splits, advance, fresh, tiny_job
from trainer.config import Value
from trainer.evaluate import predict
from trainer.export import load_servable
from trainer.jobfiles import WEIGHTS
from trainer.loop import Scored, predict_split, train
from trainer.results import Tested
from trainer.settings import Scoring
from trainer.views import OverViews, with_views


class FirstPixel(nn.Module):
    """A network that sees nothing but the upper left pixel."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, 0, 0]


class Memory(nn.Module):
    """A network that remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return images.mean(dim=(2, 3))


IMAGES = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).view(2, 3, 4, 4)


def test_one_view_is_the_network_itself() -> None:
    network = FirstPixel()

    assert with_views(network, Scoring()) is network
    assert torch.equal(OverViews(network, Scoring())(IMAGES), network(IMAGES))


def test_over_flips_the_logits_are_the_mean_of_both() -> None:
    found = with_views(FirstPixel(), Scoring(tta="flip"))(IMAGES)

    assert torch.equal(found, (IMAGES[..., 0, 0] + IMAGES[..., 0, -1]) / 2)


def test_over_shifts_half_the_weight_is_on_the_image_in_place() -> None:
    memory = Memory()

    found = OverViews(memory, Scoring(tta="flip_shift"))(IMAGES)

    assert len(memory.seen) == 6
    assert all(view.shape == IMAGES.shape for view in memory.seen)
    plain, mirrored, *shifted = sorted(
        memory.seen, key=lambda view: (not torch.equal(view, IMAGES), not torch.equal(view, IMAGES.flip(-1)))
    )
    expected = (plain + mirrored).mean(dim=(2, 3)) / 4 + sum(view.mean(dim=(2, 3)) for view in shifted) / 8
    assert torch.allclose(found, expected)


@pytest.mark.parametrize("tta", ["flip", "flip_shift"])
def test_all_views_at_once_give_the_same(tta: Literal["flip", "flip_shift"]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(5)).eval()
    images = torch.rand(7, 3, 8, 9)

    one_by_one = with_views(network, Scoring(tta=tta))(images)
    at_once = with_views(network, Scoring(tta=tta), at_once=True)(images)

    torch.testing.assert_close(at_once, one_by_one)


def test_a_shift_is_of_one_pixel() -> None:
    memory = Memory()

    OverViews(memory, Scoring(tta="flip_shift"))(IMAGES)

    assert any(torch.equal(view[..., 1:, 1:], IMAGES[..., :-1, :-1]) for view in memory.seen)
    assert any(torch.equal(view[..., :-1, :-1], IMAGES[..., 1:, 1:]) for view in memory.seen)


@pytest.mark.parametrize("tta", ["none", "flip", "flip_shift"])
def test_validation_test_and_the_model_in_use_see_the_same_views(splits: Splits, tmp_path: Path, tta: str) -> None:
    config = tiny_job(splits.data_set, {"scoring.tta": tta})
    desk = Desk(splits.data_set, tmp_path / tta, config)
    desk.train()
    (tested,) = desk.test()

    servable = load_servable(config, splits.data_set, desk.directory / WEIGHTS)
    with torch.inference_mode():
        used = servable(splits.val.pixels)

    scored = torch.from_numpy(desk.logits()).softmax(dim=1)
    assert isinstance(tested, Tested)
    assert torch.allclose(used, scored, atol=1e-5)


def test_the_mode_of_the_network_is_restored(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {"scoring.tta": "flip"})
    state = fresh(config, splits)
    advance(state, config, splits)

    averaged = predict_split(state, config, splits.val)

    assert state.model.training
    plain = predict(state.model, splits.val, portion=16, precision=torch.float32)
    assert not torch.equal(averaged, plain)


@pytest.mark.parametrize(
    ("settings", "is_in_all_views"),
    [
        ({"scoring.tta": "flip_shift"}, [False, True]),
        ({"scoring.tta": "flip_shift", "training.keep": "best"}, [True, True]),
        ({"scoring.tta": "flip_shift", "training.patience": 5}, [True, True]),
        ({"scoring.tta": "flip"}, [True, True]),
    ],
)
def test_six_views_are_for_the_end_and_for_what_may_be_the_end(
    splits: Splits, settings: dict[str, Value], is_in_all_views: list[bool]
) -> None:
    config = tiny_job(splits.data_set, {"training.epochs": 2.0, "training.preview": "weights", **settings})
    state = fresh(config, splits)
    found = []
    for epoch in (1.0, 2.0):
        *_, last = train(state, config, train_images=splits.train, val_images=splits.val, until=epoch)
        assert isinstance(last, Scored)
        in_all = predict_split(state, config, splits.val, scoring=config.scoring)
        found.append(torch.equal(last.logits, in_all))

    assert found == is_in_all_views
