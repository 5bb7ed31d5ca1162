"""`autoclf doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from autoclf.exits import OURS
from autoclf.options import DataDir, Storage, Store, TrackingUri, user_cache


def doctor(
    store: Store = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    data_dir: DataDir = Path("data"),
    device: Annotated[str, typer.Option(help="To look at.")] = "auto",
) -> None:
    """Look at versions, device, data and stores, and say what to do about each fault."""
    from search.doctor import Severity, examine

    marks = {Severity.GOOD: "ok  ", Severity.NOTE: "note", Severity.FAULT: "FAULT"}
    worst = Severity.GOOD
    for finding in examine(
        store=store,
        storage=storage,
        tracking_uri=tracking_uri,
        data_dir=data_dir,
        cache=user_cache(),
        device=device,
    ):
        typer.echo(f"{marks[finding.severity]:5} {finding.subject:16} {finding.found}")
        if finding.remedy:
            typer.echo(f"{'':22} {finding.remedy}")
        worst = max(worst, finding.severity)
    if worst is Severity.FAULT:
        raise typer.Exit(OURS)
