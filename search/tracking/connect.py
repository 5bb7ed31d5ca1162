"""From a store and an address to the runs of a study, or its event files; imports MLflow, so uploaders call it."""

import logging
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from filelock import FileLock

from search.store import Store
from search.tracking.base import DataCard
from search.tracking.environment import set_switches

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from search.tracking.event_files import EventFiles
    from search.tracking.mlflow_runs import MlflowRuns

_LOADING = Lock()  # two threads that load parts of one library at once may find each other's half made


def open_tracking(store: Store, tracking_uri: str | None) -> "MlflowClient":
    """Load MLflow, which takes seconds, and open the tracking store; a new one is made, which takes more."""
    set_switches()
    with _LOADING:
        from search.tracking.mlflow_runs import open_client

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return open_client(tracking_uri or store.tracking_uri, lock=_lock(store))


def _lock(store: Store) -> Path:
    return store.root / "mlflow.lock"


def warm_up(store: Store, tracking_uri: str | None) -> None:
    """Do the slow part of `connect` ahead of time, in a thread; whatever goes wrong shows when it is needed."""

    def try_to_open() -> None:
        with suppress(Exception):
            open_tracking(store, tracking_uri)

    Thread(target=try_to_open, name="warm-up", daemon=True).start()


def connect(
    store: Store, tracking_uri: str | None, study: str, uid: str, data: DataCard, class_names: tuple[str, ...]
) -> "MlflowRuns":
    """Open the tracking store, and find or make the experiment and the run of a study."""
    uri = tracking_uri or store.tracking_uri
    client = open_tracking(store, tracking_uri)
    from search.tracking.mlflow_runs import MlflowRuns, open_experiment, open_study_run

    artifacts = None if uri.startswith("http") else store.artifacts / study
    with FileLock(_lock(store)):  # drivers that share the study may begin together
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
    with _LOADING:
        from search.tracking.event_files import EventFiles

    return EventFiles(root=root, store=store, name=study, class_names=class_names)
