"""From the best trial of a study to a registered model that plain MLflow loads."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from search.ensemble import Ensemble, remembered_ensemble
from search.errors import StudyError
from search.finish import TestReading, known_reading
from search.race import Standing
from search.refit import refit_directory, remembered_refit
from search.request import Request
from search.run import prepare_data
from search.storage import hide_password, open_storage
from search.store import Store
from search.study import Study, load_study
from search.tracking.environment import set_switches
from search.trials import State, Trial
from search.winner import remembered_standing, winner_of
from trainer.config import JobConfig
from trainer.crashpoints import crash_point
from trainer.data import DataSet, open_split
from trainer.jobfiles import WEIGHTS

TOLERANCE = 1e-3  # largest difference of a probability between PyTorch and the exported graph
NUM_CHECKED = 64  # validation images that both are tried on
PACKAGES = ["onnxruntime", "numpy"]  # that the registered model needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """A registered model version."""

    name: str
    version: str
    alias: str
    trial: int
    val_accuracy: float
    test: TestReading | None
    largest_difference: float  # of a probability, between PyTorch and the registered graph
    ensemble: Ensemble | None = None  # where it is not the trial alone


def promote(request: Request, *, tracking_uri: str | None, name: str, alias: str, together: bool = False) -> Promoted:
    """Export the winner of a study, register it, and point an alias at it.

    Args:
        request: As the study remembers it.
        tracking_uri: Of MLflow, if not the one that the study was searched with.
        name: Of the registered model.
        alias: That shall point at the new version.
        together: Take the ensemble that the study offers instead of the winner alone.

    Raises:
        StudyError: If no trial is complete, weights are gone, there is no offer, or the exported graph answers
            differently.
    """
    store = Store(request.store)
    study = load_study(open_storage(request.storage or store.study_url, read_only=True), request.study)
    trial = _best_complete(store, request, remembered_standing(study))
    refitted = remembered_refit(study, trial.number)
    is_refit = refitted is not None and refitted.is_sound and not together
    ensemble = _offered(study, trial) if together else None
    members = [_Member(trial.config, _weights(store, request.study, trial.number, is_refit=is_refit), 1)]
    if ensemble is not None:
        configs = {known.number: known.config for known in store.trials(request.study)}
        members = [
            _Member(configs[number], _weights(store, request.study, number), count)
            for number, count in ensemble.counts.items()
        ]
    data_set = prepare_data(request, lambda _: None)
    reading = None if together else known_reading(study, trial.number, is_refit=is_refit)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        difference = _export(members, data_set, graph)
        version = _register(
            graph,
            tracking_uri or request.tracking_uri or store.tracking_uri,
            _Version(name, alias, request.study, trial, data_set, reading, is_refit=is_refit, ensemble=ensemble),
            lock=store.root / "registry.lock",
        )
    return Promoted(
        name=name,
        version=version,
        alias=alias,
        trial=trial.number,
        val_accuracy=trial.results[-1].val_accuracy,
        test=reading,
        largest_difference=difference,
        ensemble=ensemble,
    )


@dataclass(frozen=True, slots=True)
class _Version:
    """What a registered version is and where it comes from."""

    name: str
    alias: str
    study: str
    trial: Trial
    data_set: DataSet
    test: TestReading | None
    is_refit: bool  # trained on validation images, too; its validation scores are those of the trial
    ensemble: Ensemble | None  # that the version is, with the winner's run

    def tags(self) -> dict[str, str]:
        """Return what the registry shows of a version."""
        last = self.trial.results[-1]
        tags = {
            "autoclf.study": self.study,
            "autoclf.trial": str(self.trial.number),
            "autoclf.data": self.data_set.fingerprint,
            "autoclf.config": self.trial.config.fingerprint,
            "autoclf.images": "train+val" if self.is_refit else "train",
            "val/accuracy": f"{last.val_accuracy:.6f}",
            "val/loss": f"{last.val_loss:.6f}",
        }
        if self.ensemble is not None:
            tags["autoclf.ensemble"] = ", ".join(f"{n} x {count}" for n, count in self.ensemble.counts.items())
        if self.test is not None:
            tags |= {"test/accuracy": f"{self.test.accuracy:.6f}", "test/loss": f"{self.test.loss:.6f}"}
        return tags


def _best_complete(store: Store, request: Request, standing: Standing | None) -> Trial:
    best = winner_of(store.trials(request.study), request.space.objective.metric, standing)
    if best is None or best.state is not State.COMPLETE:
        raise StudyError(
            f"No trial of study {request.study!r} has been trained to the end, so there is nothing to promote. "
            f"Go on with `autoclf resume {request.study}`."
        )
    return best


@dataclass(frozen=True, slots=True)
class _Member:
    """A trained network of the model, and how often it counts."""

    config: JobConfig
    weights: Path
    count: int


def _weights(store: Store, study: str, trial: int, *, is_refit: bool = False) -> Path:
    weights = (refit_directory if is_refit else Store.job)(store, study, trial) / WEIGHTS
    if not weights.exists():
        raise StudyError(
            f"The weights of trial {trial} are not at {weights}; they can't be promoted. Those of weaker trials are "
            "deleted where --disk leaves them no room."
        )
    return weights


def _offered(study: Study, winner: Trial) -> Ensemble:
    found = remembered_ensemble(study)
    if found is None or found.winner != winner.number:
        raise StudyError(
            f"Study {study.name!r} offers no ensemble: no trials together were found better than trial "
            f"{winner.number} alone. Promote that one: leave --ensemble out."
        )
    return found


def _export(members: Sequence[_Member], data_set: DataSet, graph: Path) -> float:
    """Write the graph; return how far its probabilities are from PyTorch's, on validation images and flat ones."""
    import onnxruntime
    import torch

    from trainer.export import INPUT, Together, export_onnx, load_servable

    loaded = [load_servable(member.config, data_set, member.weights) for member in members]
    servable = Together(loaded, [member.count for member in members]) if len(loaded) > 1 else loaded[0]
    export_onnx(servable, data_set, graph)
    seen = np.array(open_split(data_set, "val").images[:NUM_CHECKED])
    images = np.concatenate([seen, np.zeros_like(seen[:1]), np.full_like(seen[:1], 255)])  # flat: what is divided by 0
    with torch.inference_mode():
        wanted = servable(torch.from_numpy(images)).numpy()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = session.run(None, {INPUT: images})[0]
    difference = float(np.abs(found - wanted).max())
    if not difference <= TOLERANCE:
        raise StudyError(
            "The exported graph answers differently from the trained model: "
            f"probabilities differ by up to {difference:.2g} where {TOLERANCE:g} is allowed. It was not registered."
        )
    return difference


def _register(graph: Path, uri: str, version: _Version, *, lock: Path) -> str:
    """Log the graph to the trial's run, make it a version, set the alias and read it back."""
    set_switches()
    import mlflow
    import onnx

    from search.tracking.mlflow_runs import find_run, open_client

    client = open_client(uri, lock=lock.with_name("mlflow.lock"))
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    experiment = client.get_experiment_by_name(version.study)
    run = find_run(client, experiment.experiment_id, version.trial.uid) if experiment else None
    if run is None:
        raise StudyError(
            f"Trial {version.trial.number} has no run in the tracking store {hide_password(uri)}. "
            f"`autoclf resume {version.study}` uploads what is missing."
        )
    logged = mlflow.models.Model.log(
        artifact_path=None,
        name="model",
        flavor=mlflow.onnx,
        run_id=run.info.run_id,
        onnx_model=onnx.load(graph),
        signature=_signature(version.data_set),
        input_example=np.array(open_split(version.data_set, "val").images[:2]),
        save_as_external_data=False,
        onnx_execution_providers=["CPUExecutionProvider"],
        pip_requirements=PACKAGES,
        metadata={"class_names": list(version.data_set.class_names)},
    )
    with FileLock(lock):  # an alias is set without comparing: the last writer would win unseen
        return _set_alias(client, logged, run.info.run_id, version)


def _signature(data_set: DataSet) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from trainer.export import INPUT, OUTPUT

    images = TensorSpec(np.dtype(np.uint8), (-1, *data_set.image_shape), INPUT)
    probabilities = TensorSpec(np.dtype(np.float32), (-1, len(data_set.class_names)), OUTPUT)
    return ModelSignature(inputs=Schema([images]), outputs=Schema([probabilities]))


def _set_alias(client: Any, logged: Any, run_id: str, version: _Version) -> str:
    if not client.search_registered_models(f"name = '{version.name}'"):
        client.create_registered_model(version.name, description=f"Found by study {version.study}.")
    made = client.create_model_version(
        version.name, logged.model_uri, run_id=run_id, tags=version.tags(), model_id=logged.model_id
    )
    crash_point("in_promotion")
    client.set_registered_model_alias(version.name, version.alias, made.version)
    champion = client.get_model_version_by_alias(version.name, version.alias)
    assert champion.version == made.version, "the alias was set under the lock"
    return str(made.version)
