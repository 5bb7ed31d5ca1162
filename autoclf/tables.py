"""Tables on the screen and for other programs."""

import sys
from typing import TYPE_CHECKING, Literal, assert_never

from rich.console import Console
from rich.table import Table

from search.leaderboard import formatted, to_markdown

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["table", "json", "csv", "md"]
WIDE = 160  # columns of a table that goes to no terminal
LEFT = ("state", "model", "optimizer", "reason")
SHORT_COLUMNS = [
    "rank", "trial", "state", "val_accuracy", "epochs", "model", "optimizer", "lr", "batch_size", "train_seconds",
]  # fmt: skip


def print_table(table: "pd.DataFrame", *, format: Format) -> None:
    """Print a leaderboard; json and csv hold numbers, table and md what a person reads."""
    match format:
        case "table":
            console().print(drawn(table))
        case "json":
            sys.stdout.write(table.to_json(orient="records") + "\n")
        case "csv":
            sys.stdout.write(table.to_csv(index=False))
        case "md":
            sys.stdout.write(to_markdown(table))
        case _:
            assert_never(format)


def short_columns(objective: str) -> list[str]:
    """Return the columns of a leaderboard that fit on a screen; what decided is among them."""
    name = objective.replace("/", "_")
    if name in SHORT_COLUMNS:
        return SHORT_COLUMNS
    place = SHORT_COLUMNS.index("val_accuracy")
    return [*SHORT_COLUMNS[:place], name, *SHORT_COLUMNS[place:]]


def console() -> Console:
    """Return a console that does not squeeze tables where there is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDE)


def drawn(table: "pd.DataFrame") -> Table:
    """Return a leaderboard as rich draws it."""
    shown = formatted(table)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in shown.columns:
        grid.add_column(heading, justify="left" if heading in LEFT else "right")
    for row in shown.itertuples(index=False):
        grid.add_row(*row)
    return grid
