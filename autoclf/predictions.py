"""Answers to images on the screen and for other programs."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, assert_never

from rich.table import Table

from autoclf.tables import console
from serving.predict import Answer
from trainer.data.images import BadImage, shown

Tell = Callable[[Answer | BadImage], None]


@contextmanager
def printer(format: Literal["table", "csv", "json"], top_k: int) -> Iterator[Tell]:
    """Yield what prints an answer; a table is drawn at the end, the other formats go out line by line."""
    match format:
        case "table":
            found: list[Answer | BadImage] = []
            yield found.append
            console().print(_drawn(found, top_k))
        case "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(["file", *_columns(top_k), "error"])
            yield lambda answer: writer.writerow(_row(answer, top_k))
        case "json":
            num = 0

            def tell(answer: Answer | BadImage) -> None:
                nonlocal num
                sys.stdout.write(("[\n" if num == 0 else ",\n") + json.dumps(_record(answer), ensure_ascii=False))
                num += 1

            yield tell
            sys.stdout.write("[]\n" if num == 0 else "\n]\n")
        case _:
            assert_never(format)


def _columns(top_k: int) -> list[str]:
    return ["label", "confidence", *(f"{name}_{k}" for k in range(2, top_k + 1) for name in ("label", "confidence"))]


def _row(answer: Answer | BadImage, top_k: int) -> list[str]:
    if isinstance(answer, BadImage):
        return [_text(answer.path), *[""] * (2 * top_k), answer.reason]
    pairs = zip(answer.labels, answer.confidences, strict=True)
    return [_text(answer.path), *(text for label, value in pairs for text in (label, f"{value:.6f}")), ""]


def _record(answer: Answer | BadImage) -> dict[str, object]:
    if isinstance(answer, BadImage):
        return {"file": _text(answer.path), "error": answer.reason}
    pairs = zip(answer.labels, answer.confidences, strict=True)
    return {
        "file": _text(answer.path),
        "predictions": [{"label": label, "confidence": round(value, 6)} for label, value in pairs],
    }


def _drawn(found: list[Answer | BadImage], top_k: int) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="bold")
    has_bad = any(isinstance(answer, BadImage) for answer in found)
    for heading in ("file", *_columns(top_k), *(["error"] if has_bad else [])):
        grid.add_column(heading.replace("_", " "), justify="right" if heading.startswith("confidence") else "left")
    for answer in found:
        cells = [_percent(cell) if is_number else shown(cell) for cell, is_number in _cells(answer, top_k)]
        grid.add_row(*(cells if has_bad else cells[:-1]))
    return grid


def _cells(answer: Answer | BadImage, top_k: int) -> Iterator[tuple[str, bool]]:
    """Yield the cells of a row, and whether each is a probability."""
    return ((cell, place in range(2, 2 * top_k + 1, 2)) for place, cell in enumerate(_row(answer, top_k)))


def _percent(cell: str) -> str:
    return f"{100 * float(cell):.1f} %" if cell else ""


def _text(path: Path) -> str:
    """Return a path that any stream can hold: bytes that are no text are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
