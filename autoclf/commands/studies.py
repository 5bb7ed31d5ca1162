"""`autoclf leaderboard`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from autoclf.options import Storage, Store


def leaderboard(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    store: Store = Path("mlruns"),
    storage: Storage = None,
    pareto: Annotated[
        Literal["latency_ms", "flops", "parameters", "size_mb"] | None,
        typer.Option(metavar="COST", help="Only what no other trial beats in score and in this cost, cheapest first."),
    ] = None,
    format: Annotated[Literal["table", "json", "csv", "md"], typer.Option(help="How to print it.")] = "table",
) -> None:
    """Show the trials of a study, best first."""
    from autoclf.tables import console, print_table, short_columns
    from search.diagnosis import diagnosis_of, in_words
    from search.leaderboard import finalists_table
    from search.leaderboard import leaderboard as rank
    from search.pareto import pareto_front
    from search.storage import open_storage
    from search.store import check_study_name, open_existing_store
    from search.study import load_study
    from search.winner import remembered_standing, winner_of

    opened = open_existing_store(store)
    name = check_study_name(study)
    known = load_study(open_storage(storage or opened.study_url, read_only=True), name)
    trials = opened.trials(name)
    if pareto is not None:
        trials = pareto_front(trials, known.objective, pareto)
    diagnoses = None
    if format in ("json", "csv"):  # for a person it would be a column too many
        diagnoses = {trial.number: in_words(diagnosis_of(trial, opened, name)) for trial in trials}
    table = rank(trials, known.objective, diagnoses=diagnoses)
    if pareto is not None:
        table = table.sort_values(pareto)
    if format == "table":  # the other formats have all columns
        table = table[[*short_columns(known.objective), *([pareto] if pareto else []), "reason"]]
    print_table(table, format=format)
    if format != "table" or pareto is not None:
        return
    standing = remembered_standing(known)
    winner = winner_of(trials, known.objective, standing)
    if standing is not None and winner is not None and winner.number in standing.scores:  # else it is of earlier trials
        console().print("\nThe finalists, each trained with several seeds; the mean decided which trial is promoted:")
        print_table(finalists_table(standing, known.objective), format=format)
