"""What a look at the images suggests."""

from dataclasses import replace
from typing import Any

import pytest

from trainer.data import Copies, Inspection, Spread, suggest, suggest_training
from trainer.data.inspection import Sizes

NONE = Copies(0, 0, 0)
LEAKS = Copies(3, 2, 0)


def sizes(width: int, height: int) -> Sizes:
    return Sizes(
        width=Spread(1, width, 9999), height=Spread(1, height, 9999), most_common=(width, height), num_most_common=5
    )


FOUND = Inspection(
    source="folder:a",
    class_names=("x", "y"),
    counts={"train": (500, 500)},
    sizes=sizes(300, 226),
    modes={"RGB": 1000},
    formats={"JPEG": 1000},
    copies=NONE,
    near_copies=NONE,
    num_ignored=0,
    unreadable=(),
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"data.image_size": 224}),
        ({"sizes": sizes(200, 190)}, {"data.image_size": 160}),
        ({"sizes": sizes(20, 900)}, {"data.image_size": 32}),
        ({"sizes": None}, {}),
        ({"formats": {"array": 1000}, "sizes": sizes(28, 28)}, {"data.image_size": 28}),
        ({"counts": {"train": (750, 500)}}, {"data.image_size": 224, "objective": "val/balanced_accuracy"}),
        ({"counts": {"train": (700, 500)}}, {"data.image_size": 224}),
        ({"copies": LEAKS, "near_copies": LEAKS}, {"data.image_size": 224, "data.duplicates": "near"}),
        ({"copies": LEAKS, "near_copies": None}, {"data.image_size": 224, "data.duplicates": "exact"}),
        ({"copies": Copies(3, 0, 0)}, {"data.image_size": 224}),
    ],
)
def test_settings_follow_from_what_was_found(changes: dict[str, Any], expected: dict[str, object]) -> None:
    assert suggest(replace(FOUND, **changes)) == expected


@pytest.mark.parametrize(
    ("counts", "what"),
    [
        ({"train": (700, 680)}, "head"),  # 994 left to train on
        ({"train": (700, 700)}, "blocks"),
        ({"train": (500, 400), "val": (900, 900), "test": (900, 900)}, "head"),
        ({"train": (9000, 9000)}, "all"),
    ],
)
def test_the_number_of_images_suggests_what_to_train(counts: Any, what: str) -> None:
    assert suggest_training(replace(FOUND, counts=counts))[0] == what


def test_small_images_suggest_a_network_from_scratch() -> None:
    assert suggest_training(replace(FOUND, sizes=sizes(32, 32)))[0] is None
