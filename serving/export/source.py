"""What is to be exported: networks with their weights, and the data set whose images they are checked on."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from search.answers import load_answers
from search.errors import StudyError
from search.finish import known_reading
from search.promotion.candidate import Finder, Trained
from search.promotion.package import CONFIGS, EXTRA, Manifest, PackageError, check_files, read_manifest
from search.promotion.publish import Judged, manifest_of
from search.request import Request
from search.resume import remembered_request
from search.run import prepare_data
from search.storage import open_storage
from search.store import Store
from search.study import Study, load_study
from serving.fetching import fetched
from serving.reference import Folder, OfTrial, Registered
from trainer.config import JobConfig, job_config
from trainer.data import DataSet
from trainer.errors import ConfigError
from trainer.jobfiles import PREDICTIONS
from trainer.metrics import Estimate, estimates

Network = tuple[JobConfig, Path, int]  # the job, its weights, and how often it counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model that is to be exported."""

    name: str  # as the user calls it
    networks: Sequence[Network]
    data_set: DataSet
    manifest: Manifest  # without files

    @property
    def has_seen_validation(self) -> bool:
        """Say whether it was trained on the validation images, too: then they tell changes, and not how good it is."""
        return self.manifest.images != "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where models and data are looked for."""

    store: Path
    storage: str | None
    tracking_uri: str | None
    cache: Path  # of decoded images


@contextmanager
def opened(model: Registered | Folder | OfTrial, place: Place) -> Iterator[Source]:
    """Provide a model while the block lasts.

    Raises:
        StudyError: If there is no such model, its study is not in the store, or files are gone or damaged.
        DataError: If the images are not what they were.
    """
    if isinstance(model, OfTrial):
        yield _of_trial(model, place)
        return
    with fetched(model, store=place.store, tracking_uri=place.tracking_uri) as folder:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        _, _, data_set = study_of(manifest.study, place)
        if data_set.fingerprint != manifest.data:
            raise StudyError(f"{model} was trained on other images than study {manifest.study!r} now has.")
        yield Source(name=str(model), networks=_networks_in(folder, manifest), data_set=data_set, manifest=manifest)


def _networks_in(folder: Path, manifest: Manifest) -> list[Network]:
    try:
        configs = json.loads((folder / EXTRA / CONFIGS).read_text(encoding="utf-8"))
        return [
            (job_config(configs[number]), folder / EXTRA / f"weights-{number}.safetensors", count)
            for number, count in manifest.trials.items()
        ]
    except (OSError, ValueError, LookupError, TypeError, ConfigError) as error:
        raise PackageError(
            f"The settings in {folder / EXTRA / CONFIGS} can't be read ({type(error).__name__}: {error})."
        ) from None


def _of_trial(model: OfTrial, place: Place) -> Source:
    request, study, data_set = study_of(model.study, place)
    trained = Finder(request, study, data_set).trained(trial=model.number)
    accuracy, judged_on, number = _known_accuracy(study, trained, Store(place.store))
    judged = Judged(accuracy, judged_on, number)
    manifest = manifest_of(trained, data_set, judged=judged, test_split="")
    networks = [(member.config, member.weights, member.count) for member in trained.members]
    return Source(name=str(model), networks=networks, data_set=data_set, manifest=manifest)


def study_of(name: str, place: Place) -> tuple[Request, Study, DataSet]:
    """Return what a study was asked for, the study and its images.

    Raises:
        StudyError: If there is no such study in the store.
        DataError: If the images are not what they were.
    """
    request = remembered_request(name, store=place.store, storage=place.storage, cache=place.cache)
    opened_storage = open_storage(request.storage or Store(place.store).study_url)
    return request, load_study(opened_storage, name), prepare_data(request, lambda _: None)


def _known_accuracy(study: Study, trained: Trained, store: Store) -> tuple[Estimate, str, int]:
    """Return what is known of a trial's accuracy: of test images if it was asked about them, else of validation."""
    reading = known_reading(study, trained.trial.number, is_refit=trained.is_refit)
    if reading is not None and "accuracy" in reading.estimates:
        return Estimate(*reading.estimates["accuracy"]), "test", reading.num_images
    answers = load_answers(store.job(study.name, trained.trial.number) / PREDICTIONS)
    assert answers is not None, "a trained model's answers were read for its temperature"
    return estimates(answers.logits, answers.labels)["accuracy"], "validation", len(answers.labels)
