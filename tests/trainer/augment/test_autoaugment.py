import importlib

import pytest
import torch
from torch import Generator, Tensor

from trainer.augment.autoaugment import NUMBERS, OPERATIONS, POLICIES, Learnt, Pair, autoaugment
from trainer.libraries import import_torchvision

NAMES = {"ShearX": "shear-x", "ShearY": "shear-y", "TranslateX": "translate-x", "TranslateY": "translate-y"}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_the_published_one_as_torchvision_has_it(name: Learnt) -> None:
    import_torchvision()
    theirs = importlib.import_module("torchvision.transforms").AutoAugment
    kind = importlib.import_module("torchvision.transforms").AutoAugmentPolicy(name.removeprefix("autoaugment_"))

    expected = tuple(
        tuple((NAMES.get(operation, operation.lower()), chance, level or 0) for operation, chance, level in pair)
        for pair in theirs(kind).policies
    )

    assert POLICIES[name] == expected


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_has_25_pairs_of_operations_that_there_are(name: Learnt) -> None:
    steps = [step for pair in POLICIES[name] for step in pair]

    assert len(POLICIES[name]) == 25
    assert {operation for operation, _, _ in steps} <= NUMBERS.keys()
    assert all(0 <= chance <= 1 and 0 <= level <= 9 for _, chance, level in steps)


def test_both_operations_of_a_pair_come_in_turn(photos: Tensor, rng: Generator) -> None:
    pair: Pair = (("solarize", 1.0, 6), ("posterize", 1.0, 9))

    changed = autoaugment(photos, policy=(pair,), rng=rng)

    strengths = torch.ones(len(photos))
    expected = OPERATIONS["posterize"](OPERATIONS["solarize"](photos, strengths * 6 / 9), strengths)
    torch.testing.assert_close(changed, expected)


def test_an_operation_comes_with_its_chance(photos: Tensor, rng: Generator) -> None:
    pairs: tuple[Pair, ...] = ((("invert", 0.25, 0), ("equalize", 0.0, 0)),)
    images = photos[:1].expand(2000, -1, -1, -1)

    changed = autoaugment(images, policy=pairs, rng=rng)

    is_inverted = (changed == 1 - images).flatten(1).all(1)
    is_same = (changed == images).flatten(1).all(1)
    assert torch.equal(is_inverted, ~is_same)
    assert is_inverted.float().mean().item() == pytest.approx(0.25, abs=0.04)


def test_a_pair_of_its_own_and_both_signs_are_drawn_for_each_image(photos: Tensor, rng: Generator) -> None:
    pairs: tuple[Pair, ...] = (
        (("rotate", 1.0, 9), ("invert", 0.0, 0)),
        (("shear-x", 1.0, 9), ("invert", 0.0, 0)),
    )
    image = photos[:1]

    changed = autoaugment(image.expand(400, -1, -1, -1), policy=pairs, rng=rng)

    for name in ("rotate", "shear-x"):
        for sign in (-1.0, 1.0):
            distances = (changed - OPERATIONS[name](image, torch.tensor([sign]))).abs().amax((1, 2, 3))
            assert (distances < 1e-4).float().mean().item() == pytest.approx(0.25, abs=0.08)
