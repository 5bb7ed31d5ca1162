"""`autoclf promote`, `rollback` and `models`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autoclf.options import Storage, Store, TrackingUri, user_cache

if TYPE_CHECKING:
    from search.promotion.promote import Promoted


def promote(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    trial: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Another trial than the winner.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Else the study's name.", show_default=False)
    ] = None,
    alias: Annotated[str, typer.Option(help="That shall point at the new version.")] = "champion",
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Register the ensemble that the study offers.")] = False,
    level: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Chance of its lead by luck below which a candidate is better.")
    ] = 0.05,
    margin: Annotated[
        float | None,
        typer.Option(min=0.0, help="Lead in the objective that is enough, such as 0.01.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Pass the gate; wants --why.")] = False,
    why: Annotated[str | None, typer.Option(metavar="TEXT", help="Kept with the version.", show_default=False)] = None,
    store: Store = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Register the winner of a search, if it is better than the champion that there is."""
    if force != (why is not None and bool(why.strip())):
        raise typer.BadParameter("--force and --why go together: a gate is passed for a reason that is kept.")
    if trial is not None and ensemble:
        raise typer.BadParameter("--trial names one trial, --ensemble several: leave one of them out.")
    from search.promotion.promote import Wish
    from search.promotion.promote import promote as register
    from search.resume import remembered_request
    from search.store import check_model_name

    request = remembered_request(study, store=store, storage=storage, cache=user_cache())
    wish = Wish(
        name=check_model_name(name or study),
        alias=check_model_name(alias),
        trial=trial,
        together=ensemble,
        why=why,
        level=level,
        margin=margin,
    )
    _tell(study, register(request, wish, tracking_uri=tracking_uri))


def _tell(study: str, done: "Promoted") -> None:
    from search.promotion.gate import in_words

    what = f"trial {done.trial}"
    if done.ensemble is not None:
        what = f"trials {', '.join(str(number) for number in done.ensemble.counts)} together"
    if done.largest_difference is None:
        whole = what[0].upper() + what[1:]
        typer.echo(f"{whole} of {study!r} is {done.name!r} version {done.version}, the {done.alias} already.")
        return
    if done.comparison is not None:
        for line in in_words(done.comparison):
            typer.echo(line)
    instead = f", in place of version {done.former}" if done.former else ""
    typer.echo(f"Registered {what} of {study!r} as {done.name!r} version {done.version}{instead}.")
    scores = f"validation accuracy {100 * done.val_accuracy:.2f} %"
    if done.ensemble is not None:
        scores = f"{done.objective} {done.ensemble.score:.4f} on images that it was not chosen by"
    if done.test is not None:
        scores += f", test accuracy {100 * done.test.accuracy:.2f} %"
    typer.echo(f"{scores}; the ONNX graph is within {done.largest_difference:.1g} of PyTorch.")
    typer.echo(f"Load it anywhere with MLflow:  mlflow.pyfunc.load_model('models:/{done.name}@{done.alias}')")


def rollback(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a registered model.")],
    alias: Annotated[str, typer.Option(help="That points at the version in service.")] = "champion",
    why: Annotated[str, typer.Option(metavar="TEXT", help="Kept with the version that is left.")] = "",
    store: Store = Path("mlruns"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Go back to the version that was in service before."""
    from search.promotion.registry import open_registry
    from search.promotion.rollback import roll_back
    from search.store import check_model_name, open_existing_store

    registry = open_registry(open_existing_store(store), tracking_uri)
    done = roll_back(registry, check_model_name(model), check_model_name(alias), why=why)
    typer.echo(f"{done.name}@{done.alias} is version {done.now} again; version {done.left} was left.")


def models(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Only this one.", show_default=False)] = None,
    format: Annotated[Literal["table", "json", "csv", "md"], typer.Option(help="How to print it.")] = "table",
    store: Store = Path("mlruns"),
    tracking_uri: TrackingUri = None,
) -> None:
    """List registered models: versions, aliases, scores, and where they come from."""
    from autoclf.tables import print_table
    from search.promotion.listing import listing
    from search.promotion.registry import open_registry
    from search.store import check_model_name, open_existing_store

    registry = open_registry(open_existing_store(store), tracking_uri)
    table = listing(registry.versions(check_model_name(model) if model else None))
    if table.empty and format == "table":
        typer.echo(f"No model is registered in {store}. `autoclf promote STUDY` registers the winner of a search.")
        return
    print_table(table, format=format)
