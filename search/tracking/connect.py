"""From a store and an address to the runs of a study, or its event files.

It loads MLflow or TensorBoard, which takes seconds, so it is called in a `TrackingProcess`.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from search.store import Store
from search.tracking.base import DataCard
from search.tracking.environment import set_switches

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from search.tracking.event_files import EventFiles
    from search.tracking.mlflow_runs import MlflowRuns


def open_tracking(store: Store, tracking_uri: str | None) -> "MlflowClient":
    """Load MLflow, which takes seconds, and open the tracking store; a new one is made, which takes more."""
    set_switches()
    from search.tracking.mlflow_runs import open_client

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return open_client(tracking_uri or store.tracking_uri, lock=store.tracking_lock)


def connect(
    store: Store, tracking_uri: str | None, study: str, uid: str, data: DataCard, class_names: tuple[str, ...]
) -> "MlflowRuns":
    """Open the tracking store, and find or make the experiment and the run of a study."""
    uri = tracking_uri or store.tracking_uri
    client = open_tracking(store, tracking_uri)
    from search.tracking.mlflow_runs import MlflowRuns, open_experiment, open_study_run

    artifacts = None if uri.startswith("http") else store.artifacts / study
    with FileLock(store.tracking_lock):  # drivers that share the study may begin together
        experiment_id = open_experiment(client, study, artifacts=artifacts)
        run_id = open_study_run(client, experiment_id, name=study, uid=uid, data=data)
    return MlflowRuns(
        client=client,
        experiment_id=experiment_id,
        study_run_id=run_id,
        store=store,
        name=study,
        data=data,
        class_names=class_names,
    )


def open_event_files(root: Path, store: Store, study: str, class_names: tuple[str, ...]) -> "EventFiles":
    """Load TensorBoard's forms of events, and begin with the event files of a study, which lie in `root`."""
    from search.tracking.event_files import EventFiles

    return EventFiles(root=root, store=store, name=study, class_names=class_names)
