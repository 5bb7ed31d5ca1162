"""`autoclf promote`."""

from pathlib import Path
from typing import Annotated

import typer

from autoclf.options import Storage, Store, TrackingUri, user_cache


def promote(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    name: Annotated[str | None, typer.Option(metavar="MODEL", help="Else the study's name.")] = None,
    alias: Annotated[str, typer.Option(help="That shall point at the new version.")] = "champion",
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Register the ensemble that the study offers.")] = False,
    store: Store = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Register the winner of a search as a model that plain MLflow loads."""
    from search.promotion import promote as register
    from search.resume import remembered_request
    from search.store import check_model_name

    request = remembered_request(study, store=store, storage=storage, cache=user_cache())
    done = register(
        request,
        tracking_uri=tracking_uri,
        name=check_model_name(name or study),
        alias=check_model_name(alias),
        together=ensemble,
    )
    what = f"trial {done.trial}"
    if done.ensemble is not None:
        what = f"trials {', '.join(str(number) for number in done.ensemble.counts)} together"
    typer.echo(f"Registered {what} of {study!r} as {done.name!r} version {done.version}.")
    scores = f"validation accuracy {100 * done.val_accuracy:.2f} %"
    if done.ensemble is not None:
        metric = request.space.objective.metric
        scores = f"{metric} {done.ensemble.score:.4f} on images that it was not chosen by; the test split was not read"
    if done.test is not None:
        scores += f", test accuracy {100 * done.test.accuracy:.2f} %"
    typer.echo(f"{scores}; the ONNX graph is within {done.largest_difference:.1g} of PyTorch.")
    typer.echo(f"Load it anywhere with MLflow:  mlflow.pyfunc.load_model('models:/{done.name}@{done.alias}')")
