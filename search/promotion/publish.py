"""A candidate as a package, and the package as a version in the registry."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from search.calibration import tempered
from search.errors import StudyError
from search.promotion.candidate import Candidate, Trained
from search.promotion.card import model_card
from search.promotion.graph import write_graph
from search.promotion.package import (
    CARD,
    CONFIGS,
    EXTRA,
    GRAPH,
    MANIFEST,
    TEST_ANSWERS,
    Manifest,
    digest_of,
    digests,
    write_manifest,
)
from search.promotion.registry import DIGEST, MANIFEST_DIGEST, Registry
from search.request import Request
from search.storage import hide_password
from trainer.config import flat
from trainer.data import DataSet, open_split
from trainer.metrics import Estimate, estimates

PACKAGES = ["onnxruntime", "numpy"]  # that the registered model needs
MADE_WITH = ("autoclf", "torch", "torchvision", "timm", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a candidate was found in."""

    request: Request
    data_set: DataSet
    test_split: str  # digest of the locked images


def tags_of(candidate: Candidate, source: Source) -> dict[str, str]:
    """Return what the registry shows of a version: equal tags mean the same model."""
    tags = {
        "autoclf.study": candidate.study,
        "autoclf.trial": str(candidate.trial.number),
        "autoclf.data": source.data_set.fingerprint,
        "autoclf.config": candidate.trial.config.fingerprint,
        "autoclf.images": "train+val" if candidate.is_refit else "train",
        "autoclf.version": versions()["autoclf"],
        "test/accuracy": f"{1 - candidate.answers.num_wrong() / len(candidate.answers.labels):.6f}",
    }
    if candidate.ensemble is not None:
        return tags | {"autoclf.ensemble": ", ".join(f"{n} x {count}" for n, count in candidate.counts.items())}
    last = candidate.trial.results[-1]
    return tags | {"val/accuracy": f"{last.val_accuracy:.6f}", "val/loss": f"{last.val_loss:.6f}"}


def publish(
    registry: Registry, candidate: Candidate, source: Source, name: str, folder: Path, tags: Mapping[str, str]
) -> tuple[str, float]:
    """Export a candidate, log it to the run of its trial and make it a version that no alias points at yet.

    Args:
        registry: Held by this promotion.
        candidate: To be exported.
        source: Of it.
        name: Of the model.
        folder: Empty; the package is made there.
        tags: Of the version.

    Returns:
        The number of the version, and how far a probability of the graph was from PyTorch's.

    Raises:
        StudyError: If the graph answers differently, or the trial has no run.
    """
    difference = write_graph(candidate, source.data_set, folder / GRAPH)
    manifest = write_package(candidate, source, folder)
    experiment_id, run_id = _run_of(registry, candidate)
    known = registry.unused(name, manifest.files[GRAPH])
    if known is not None:
        return known.number, difference
    logged = _log(registry, folder, experiment_id, run_id, source.data_set)
    about = f"Found by study {candidate.study}."
    number = registry.register(
        name,
        about=about,
        source=logged.model_uri,
        run_id=run_id,
        model_id=logged.model_id,
        tags={
            **tags,
            DIGEST: manifest.files[GRAPH],
            MANIFEST_DIGEST: digest_of(folder / EXTRA / MANIFEST),
        },
    )
    return number, difference


def write_package(candidate: Candidate, source: Source, folder: Path) -> Manifest:
    """Write what comes beside the graph of a folder; return the manifest."""
    extra, data_set = folder / EXTRA, source.data_set
    extra.mkdir()
    for member in candidate.members:
        shutil.copy(member.weights, extra / f"weights-{member.trial}.safetensors")
    configs = {str(member.trial): flat(member.config) for member in candidate.members}
    (extra / CONFIGS).write_text(json.dumps(configs, indent=2) + "\n", encoding="utf-8")
    np.savez(extra / TEST_ANSWERS, logits=candidate.answers.logits, labels=candidate.answers.labels)
    answers = tempered(candidate.answers, candidate.temperature)
    figures = estimates(answers.logits, answers.labels)
    judged = Judged(figures["accuracy"], "test", len(answers.labels))
    manifest = manifest_of(candidate, data_set, judged=judged, test_split=source.test_split)
    card = model_card(
        candidate, data_set, manifest, figures=figures, source=source.request.source, seed=source.request.seed
    )
    (extra / CARD).write_text(card, encoding="utf-8")
    names = [GRAPH, *(f"{EXTRA}/{path.name}" for path in sorted(extra.iterdir()))]
    whole = replace(manifest, files=digests(folder, names))
    write_manifest(folder, whole)
    return whole


@dataclass(frozen=True, slots=True)
class Judged:
    """How often a model was right."""

    accuracy: Estimate
    on: str  # whose images: test or validation
    num_images: int


def manifest_of(model: Trained, data_set: DataSet, *, judged: Judged, test_split: str) -> Manifest:
    """Return what a model is, without its files.

    Args:
        model: Trained on the data set.
        data_set: Tells the shape of the images and the classes.
        judged: How good it is.
        test_split: Digest of the locked images, if it was tested on them.
    """
    return Manifest(
        class_names=data_set.class_names,
        image_shape=data_set.image_shape,
        resizing=resizing(data_set),
        temperature=model.temperature,
        images="train+val" if model.is_refit else "train",
        study=model.study,
        trials=model.counts,
        data=data_set.fingerprint,
        test_split=test_split,
        accuracy=(judged.accuracy.value, judged.accuracy.low, judged.accuracy.high),
        judged_on=judged.on,
        num_judged=judged.num_images,
        config=model.trial.config.fingerprint,
        versions=versions(),
        files={},
    )


def versions() -> dict[str, str]:
    """Return the versions of what makes a package."""
    found = {}
    for name in MADE_WITH:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def resizing(data_set: DataSet) -> str:
    """Say how an image of another size is brought to that of the model, as it was for training."""
    height, width, channels = data_set.image_shape
    colour = "in RGB, transparency over white" if channels == 3 else "in grey"
    part = "the centre square" if height == width else "the largest centred part of these proportions"
    return f"upright, {colour}, {part} resized to {height} x {width} pixels by bicubic interpolation."


def _run_of(registry: Registry, candidate: Candidate) -> tuple[str, str]:
    """Return the experiment of a study and the run of its trial."""
    from search.tracking.mlflow_runs import find_run

    experiment = registry.client.get_experiment_by_name(candidate.study)
    run = find_run(registry.client, experiment.experiment_id, candidate.trial.uid) if experiment else None
    if run is None:
        raise StudyError(
            f"Trial {candidate.trial.number} has no run in the tracking store {hide_password(registry.uri)}. "
            f"`autoclf resume {candidate.study}` uploads what is missing."
        )
    return str(experiment.experiment_id), str(run.info.run_id)


def _log(registry: Registry, folder: Path, experiment_id: str, run_id: str, data_set: DataSet) -> Any:
    """Log a package as a model of MLflow's kind `onnx`."""
    import mlflow
    import onnx

    mlflow.set_tracking_uri(registry.uri)
    mlflow.set_registry_uri(registry.uri)
    mlflow.set_experiment(experiment_id=experiment_id)  # else it belongs to another one, which lies outside the store
    return mlflow.models.Model.log(
        artifact_path=None,
        name="model",
        flavor=mlflow.onnx,
        run_id=run_id,
        onnx_model=onnx.load(folder / GRAPH),
        signature=_signature(data_set),
        input_example=np.array(open_split(data_set, "val").images[:2]),
        save_as_external_data=False,
        onnx_execution_providers=["CPUExecutionProvider"],
        pip_requirements=PACKAGES,
        extra_files=[str(path) for path in sorted((folder / EXTRA).iterdir())],
        metadata={"class_names": list(data_set.class_names)},
    )


def _signature(data_set: DataSet) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from trainer.export import INPUT, OUTPUT

    images = TensorSpec(np.dtype(np.uint8), (-1, *data_set.image_shape), INPUT)
    probabilities = TensorSpec(np.dtype(np.float32), (-1, len(data_set.class_names)), OUTPUT)
    return ModelSignature(inputs=Schema([images]), outputs=Schema([probabilities]))
