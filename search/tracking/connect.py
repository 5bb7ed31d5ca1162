"""From a store and an address to the runs of a study; imports MLflow, so the uploader's thread calls it."""

import logging
from typing import TYPE_CHECKING

from search.store import Store
from search.tracking.base import DataCard
from search.tracking.environment import set_switches

if TYPE_CHECKING:
    from search.tracking.mlflow_runs import MlflowRuns


def connect(
    store: Store, tracking_uri: str | None, study: str, uid: str, data: DataCard, class_names: tuple[str, ...]
) -> "MlflowRuns":
    """Open the tracking store, and find or make the experiment and the run of a study."""
    set_switches()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from search.tracking.mlflow_runs import MlflowRuns, open_client, open_experiment, open_study_run

    uri = tracking_uri or store.tracking_uri
    client = open_client(uri, lock=store.root / "mlflow.lock")
    artifacts = None if uri.startswith("http") else store.artifacts / study
    experiment_id = open_experiment(client, study, artifacts=artifacts)
    return MlflowRuns(
        client=client,
        experiment_id=experiment_id,
        study_run_id=open_study_run(client, experiment_id, name=study, uid=uid, data=data),
        store=store,
        name=study,
        data=data,
        class_names=class_names,
    )
