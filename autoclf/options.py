"""Options that several commands share, and how their texts are read."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

SOURCES = "a name (digits, cifar10, mnist, ...), npz:FILE, folder:DIR, files:DIR or csv:FILE"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SIZES = {"M": 1e6, "G": 1e9, "T": 1e12}

Store = Annotated[Path, typer.Option("--store", metavar="DIR", help="Directory that holds everything.")]
Storage = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Database of the studies, if not the store's.", show_default=False),
]
TrackingUri = Annotated[
    str | None,
    typer.Option("--tracking-uri", metavar="URI", help="MLflow tracking, if not the store's.", show_default=False),
]
TensorBoard = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="DIR", help="Write event files for TensorBoard too.", show_default=False),
]
_DATA_DIR = typer.Option(
    metavar="DIR", envvar="AUTOCLF_DATA_DIR", help="Where data sets lie or are downloaded to.", show_default="data"
)
DataDir = Annotated[Path, _DATA_DIR]
DataDirOrNone = Annotated[Path | None, _DATA_DIR]  # None where something else may say it
OnBadImage = Annotated[
    Literal["fail", "skip"] | None,
    typer.Option(help="About files that cannot be used; else the space's.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]


def seconds(text: str) -> float:
    """Read a length of time such as 90s, 30m or 2h; a bare number is seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if not found or not float(found[1]) > 0:
        raise typer.BadParameter(f"{text!r} is no length of time. Write 90s, 30m or 2h.")
    return float(found[1]) * UNITS[found[2] or "s"]


def patience(text: str) -> "int | float":
    """Read a patience: a whole number of configurations, or a length of time such as 30m, as a float of seconds."""
    if re.fullmatch(r"\d+", text.strip()):
        if not int(text):
            raise typer.BadParameter("0 is no patience. Write a number of configurations, or a time such as 30m.")
        return int(text)
    return seconds(text)


def num_bytes(text: str) -> float:
    """Read a size on disk such as 500MB or 20GB, in units of 1000; a bare number is gigabytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT]?)B?", text.strip(), re.IGNORECASE)
    if not found or not float(found[1]) > 0:
        raise typer.BadParameter(f"{text!r} is no size. Write 500MB or 20GB.")
    return float(found[1]) * SIZES[found[2].upper() or "G"]


def user_cache() -> Path:
    """Return the directory for decoded data sets, where this system keeps such things."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "autoclf"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "autoclf"
