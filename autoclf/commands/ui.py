"""`autoclf ui`."""

from pathlib import Path
from typing import Annotated

import typer

from autoclf.options import Storage, Store, TrackingUri


def ui(
    store: Store = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="Of the MLflow UI.")] = 5000,
    dashboard_port: Annotated[int, typer.Option(min=1, max=65535, help="Of the Optuna dashboard.")] = 8080,
) -> None:
    """Open the MLflow UI and the Optuna dashboard on this machine, until Ctrl-C."""
    from search.store import open_existing_store
    from search.ui import serve

    opened = open_existing_store(store)
    serve(
        tracking_uri=tracking_uri or opened.tracking_uri,
        study_url=storage or opened.study_url,
        artifacts=opened.artifacts,
        mlflow_port=mlflow_port,
        dashboard_port=dashboard_port,
        say=typer.echo,
    )
