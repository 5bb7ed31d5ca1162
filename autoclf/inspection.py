"""What `autoclf data inspect` prints."""

import shlex
from pathlib import Path

from rich.table import Table

from autoclf.tables import console
from spaces import preset_names
from trainer.data import (
    Copies,
    Inspection,
    distribution_chart,
    prepare,
    sample_sheet,
    suggest,
    suggest_training,
)

IN_WORDS = {"head": "a new last layer alone", "blocks": "the last blocks", "all": "everything"}
MOST_BAD = 10  # unreadable files that are named
BAR = 30  # characters of the longest bar
CHART = "class_distribution.png"


def print_inspection(found: Inspection) -> None:
    """Print classes, counts, sizes, unreadable files and copies."""
    screen = console()
    screen.print(_counts(found))
    for line in _lines(found):
        screen.print(line, soft_wrap=True, markup=False)


def write_pictures(found: Inspection, sheet: Path, *, cache: Path, data_dir: Path) -> Path:
    """Draw samples of the training split into a PNG file, and the counts of the classes into one beside it."""
    sample_sheet(prepare(found.source, cache=cache, data_dir=data_dir), sheet)
    chart = sheet.with_name(CHART)
    distribution_chart(found, chart)
    return chart


def _counts(found: Inspection) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    for split in found.counts:
        table.add_column(split if len(found.counts) > 1 else "images", justify="right")
    table.add_column("")
    totals = [sum(column) for column in zip(*found.counts.values(), strict=True)]
    for label, name in enumerate(found.class_names):
        counts = [f"{found.counts[split][label]:,}" for split in found.counts]
        table.add_row(name, *counts, "█" * round(BAR * totals[label] / max([1, *totals])))
    return table


def _lines(found: Inspection) -> list[str]:
    lines = [""]
    if found.sizes is not None:
        width, height = found.sizes.width, found.sizes.height
        common = "x".join(map(str, found.sizes.most_common))
        lines.append(
            f"Sizes: width {width.min} to {width.max} (median {width.median}), height {height.min} to {height.max} "
            f"(median {height.median}); most common {common} ({found.sizes.num_most_common:,} images)"
        )
    lines.append(f"Formats: {_tally(found.formats)}. Channels: {_tally(found.modes)}.")
    if found.num_ignored:
        lines.append(f"Ignored: {found.num_ignored:,} files that are no images by their names")
    lines += _copies("Exact copies", found.copies)
    if found.near_copies is not None and found.near_copies != found.copies:
        lines += _copies("Copies to the eye, those included", found.near_copies)
    if found.unreadable:
        lines.append(f"Unreadable: {len(found.unreadable)} files")
        lines += [f"  {bad}" for bad in found.unreadable[:MOST_BAD]]
    return lines + _advice(found)


def _advice(found: Inspection) -> list[str]:
    """Return what a search of these images should be told, as a command."""
    if found.source in preset_names():
        return ["", f"  autoclf search --space {found.source}"]
    what, number = suggest_training(found)
    sets = "".join(f" --set {path}={value}" for path, value in suggest(found).items())
    skip = " --on-bad-image skip" if found.unreadable else ""
    lines = [""]
    if what is not None:
        lines.append(f"With about {number:,} images, train {IN_WORDS[what]} of a network with published weights.")
    space = {None: "folder", "head": "probe"}.get(what, "finetune")
    if found.copies.num_across_splits or (found.near_copies and found.near_copies.num_across_splits):
        lines.append("Images that training and test share make the test worth less: leave the copies out.")
    return [*lines, f"  autoclf search --space {space} --data {shlex.quote(found.source)}{sets}{skip}"]


def _copies(what: str, copies: Copies) -> list[str]:
    return [
        f"{what}: {copies.num_groups} groups, {copies.num_across_splits} of them across splits, "
        f"{copies.num_across_classes} across classes",
        *(f"  {' = '.join(group)}" for group in copies.examples),
    ]


def _tally(counts: object) -> str:
    assert isinstance(counts, dict)
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
