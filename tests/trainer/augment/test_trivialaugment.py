import pytest
import torch
from torch import Generator, Tensor

from trainer.augment.operations import operations
from trainer.augment.trivialaugment import trivialaugment, wide_reach

SIGNED = {"rotate", "color", "contrast", "brightness", "sharpness", "shear-x", "shear-y", "translate-x", "translate-y"}


def test_every_operation_is_drawn_alone_up_to_its_widest_strength(photos: Tensor, rng: Generator) -> None:
    image = photos[:1, :, :12, :12]
    table = {name: op for name, op in operations(wide_reach(image)).items() if name != "invert"}

    changed = trivialaugment(image.expand(9000, -1, -1, -1), rng=rng)

    for operation in table.values():
        for sign in (-1.0, 1.0):
            distances = (changed - operation(image, torch.tensor([sign]))).abs().amax((1, 2, 3))
            assert distances.min() < 1e-4
    # An even draw of 31 strengths is 0 once, and half of it twice as often where there is no sign.
    num_alike = len({image.numpy().tobytes() for image in changed})
    assert 31 * len(SIGNED) < num_alike < (31 * 2) * len(table)


@pytest.mark.parametrize(("side", "share"), [(8, 1.0), (32, 1.0), (64, 0.5), (224, 32 / 224)])
def test_translations_reach_32_pixels_and_never_beyond_the_side(side: int, share: float) -> None:
    assert wide_reach(torch.zeros(1, 3, side, side)).translation == share
