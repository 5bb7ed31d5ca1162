"""Registered versions as a table."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd

from search.promotion.registry import FORMER, Version

COLUMNS = (
    "model", "version", "aliases", "val_accuracy", "test_accuracy", "study", "trial", "images", "data", "autoclf",
    "former", "made",
)  # fmt: skip


def listing(versions: Sequence[Version]) -> pd.DataFrame:
    """Return a row a version: its scores, and its study, trial, data and code; what is not known is empty."""
    return pd.DataFrame([_row(version) for version in versions], columns=list(COLUMNS))


def _row(version: Version) -> dict[str, object]:
    def number(name: str) -> float | None:
        text = version.tags.get(name)
        return None if text is None else float(text)

    tags = version.tags
    trials = tags.get("autoclf.ensemble") or tags.get("autoclf.trial", "")
    return {
        "model": version.name,
        "version": int(version.number),
        "aliases": ", ".join(version.aliases),
        "val_accuracy": number("val/accuracy"),
        "test_accuracy": number("test/accuracy"),
        "study": tags.get("autoclf.study", ""),
        "trial": trials,
        "images": tags.get("autoclf.images", ""),
        "data": tags.get("autoclf.data", ""),
        "autoclf": tags.get("autoclf.version", ""),
        "former": tags.get(FORMER, ""),
        "made": datetime.fromtimestamp(version.created_at, tz=UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
