"""`autoclf reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoclf.exits import INTERRUPTED, REFUSED
from autoclf.options import Storage, Store, TrackingUri, user_cache

if TYPE_CHECKING:
    from serving.reproduce import Reproduction


def reproduce(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="MODEL@ALIAS, MODEL@v3, or a trial: STUDY:7.")],
    store: Store = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Train a model again from its own settings, and compare the two."""
    from autoclf.progress import epochs_bar
    from serving.export.source import Place, opened
    from serving.reference import read_reference
    from serving.reproduce import reproduce as train_again

    place = Place(store=store, storage=storage, tracking_uri=tracking_uri, cache=user_cache())
    with opened(read_reference(model), place) as source, epochs_bar() as on_progress:
        found = train_again(source, place, on_progress)
    if found is None:
        typer.echo(f"Interrupted. Go on with:  autoclf reproduce {model}", err=True)
        raise typer.Exit(INTERRUPTED)
    _tell(model, found)
    if not found.is_same:
        raise typer.Exit(REFUSED)


def _tell(model: str, found: "Reproduction") -> None:
    if found.is_same:
        typer.echo(f"{model} was reproduced bit for bit: all weights are the same.")
        return
    first, second = found.accuracies
    typer.echo(
        f"{model} was not reproduced bit for bit: weights differ by up to {found.largest_difference:.2g}. Of "
        f"{found.num_images:,} validation images both give {100 * found.agreement:.2f} % the same class; accuracy is "
        f"{100 * second:.2f} % after {100 * first:.2f} %."
    )
    for name, (then, now) in found.other_versions.items():
        typer.echo(f"{name} was {then} then and is {now} now.")
    if not found.other_versions:
        typer.echo(
            "Versions are the same: another processor or device than then, or operations that are not repeatable."
        )
