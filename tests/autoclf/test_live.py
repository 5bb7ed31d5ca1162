"""What is told of the data before a search, as lines of a log."""

from typing import Any

import pytest

from autoclf.live import data_line
from search.notices import Notice


@pytest.mark.parametrize(
    ("kind", "values", "line"),
    [
        (
            "absent",
            {"split": "val", "classes": ("airplane",)},
            "Note: no validation images of airplane. No score tells how well these are recognised.",
        ),
        (
            "absent",
            {"split": "train", "classes": ("a", "b", "c", "d", "e")},
            "Note: no training images of a, b, c and 2 more. No model can learn what they look like.",
        ),
        ("dropped", {"number": 3}, "Left out 3 copies of other images."),
    ],
)
def test_what_is_odd_about_the_data_is_told(kind: str, values: dict[str, Any], line: str) -> None:
    assert data_line(Notice(kind=kind, values=values)) == line
