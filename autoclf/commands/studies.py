"""`autoclf leaderboard`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from autoclf.options import Storage, Store


def leaderboard(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    store: Store = Path("mlruns"),
    storage: Storage = None,
    format: Annotated[Literal["table", "json", "csv", "md"], typer.Option(help="How to print it.")] = "table",
) -> None:
    """Show the trials of a study, best first."""
    from autoclf.tables import print_table
    from search.leaderboard import leaderboard as rank
    from search.storage import open_storage
    from search.store import check_study_name, open_existing_store
    from search.study import load_study

    opened = open_existing_store(store)
    name = check_study_name(study)
    known = load_study(open_storage(storage or opened.study_url, read_only=True), name)
    print_table(rank(opened.trials(name), known.objective), format=format)
