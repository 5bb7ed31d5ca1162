"""From the best trial of a study to a registered model that plain MLflow loads, past a gate."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from search.answers import load_answers
from search.ensemble import Ensemble
from search.errors import RefusedError, StudyError
from search.executors import LocalExecutor
from search.finish import TestReading
from search.promotion.candidate import Candidate, Finder
from search.promotion.gate import LEVEL, Comparison, compare, in_words
from search.promotion.package import EXTRA, TEST_ANSWERS, PackageError, check_files, read_manifest
from search.promotion.publish import Source, publish, tags_of
from search.promotion.registry import FORMER, Registry, Version, open_registry
from search.request import Request
from search.run import prepare_data
from search.storage import open_storage
from search.store import Store
from search.study import load_study
from trainer.data import DataSet
from trainer.data.locked import digest_of_test_split

WHY, PROMOTED_AT, COMPARED = "autoclf.why", "autoclf.promoted_at", "autoclf.compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be promoted, and how strict the gate is."""

    name: str  # of the registered model
    alias: str
    trial: int | None = None  # the winner, unless told
    together: bool = False  # the ensemble that the study offers
    why: str | None = None  # the gate is passed by force, for this reason
    level: float = LEVEL
    margin: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """A registered model version."""

    name: str
    version: str
    alias: str
    trial: int
    val_accuracy: float
    test: TestReading | None
    ensemble: Ensemble | None  # where it is not the trial alone
    objective: str  # of the search
    comparison: Comparison | None  # with the champion that there was
    former: str | None  # its version
    largest_difference: float | None  # of a probability, between PyTorch and the graph; None where nothing was made


def promote(request: Request, wish: Wish, *, tracking_uri: str | None) -> Promoted:
    """Export a model of a study, register it, and point an alias at it, if it is better than what that points at.

    Args:
        request: As the study remembers it.
        wish: What is to be promoted.
        tracking_uri: Of MLflow, if not the one that the study was searched with.

    Raises:
        RefusedError: If the champion is not shown to be worse; nothing was registered.
        StudyError: If no trial is complete, weights are gone, there is no offer, the two can't be compared, or the
            exported graph answers differently.
    """
    store = Store(request.store)
    study = load_study(open_storage(request.storage or store.study_url), request.study)
    data_set = prepare_data(request, lambda _: None)
    executor = LocalExecutor(1)
    try:
        candidate = Finder(request, study, data_set, executor).candidate(trial=wish.trial, together=wish.together)
    finally:
        executor.close()
    registry = open_registry(store, tracking_uri or request.tracking_uri)
    with registry.held():  # an alias is set without comparing: the last writer would win unseen
        return _promote(registry, request, wish, candidate, data_set)


def _promote(registry: Registry, request: Request, wish: Wish, candidate: Candidate, data_set: DataSet) -> Promoted:
    champion = registry.champion(wish.name, wish.alias)
    test_split = digest_of_test_split(data_set)
    source = Source(request=request, data_set=data_set, test_split=test_split)
    tags = tags_of(candidate, source)
    if champion is not None and tags.items() <= champion.tags.items():
        return _outcome(wish, candidate, champion.number, None, None, None)
    comparison = None
    if champion is not None:
        comparison = _past_the_gate(registry, wish, candidate, champion, test_split)
    with tempfile.TemporaryDirectory() as folder:
        number, difference = publish(registry, candidate, source, wish.name, Path(folder), tags)
    tags_now = {PROMOTED_AT: f"{time.time():.0f}", FORMER: champion.number if champion else ""}
    if wish.why is not None:
        tags_now[WHY] = wish.why
    if comparison is not None:
        tags_now[COMPARED] = "; ".join(in_words(comparison))
    registry.point(wish.name, wish.alias, number, tags=tags_now)
    return _outcome(wish, candidate, number, comparison, champion, difference)


def _outcome(
    wish: Wish,
    candidate: Candidate,
    number: str,
    comparison: Comparison | None,
    champion: Version | None,
    difference: float | None,
) -> Promoted:
    return Promoted(
        name=wish.name,
        version=number,
        alias=wish.alias,
        trial=candidate.trial.number,
        val_accuracy=candidate.trial.results[-1].val_accuracy,
        test=candidate.reading,
        ensemble=candidate.ensemble,
        objective=candidate.objective,
        comparison=comparison,
        former=champion.number if champion else None,
        largest_difference=difference,
    )


def _past_the_gate(
    registry: Registry, wish: Wish, candidate: Candidate, champion: Version, test_split: str
) -> Comparison | None:
    """Return how the candidate stands against the champion, if it may take its place.

    Raises:
        RefusedError: If it may not.
        StudyError: If they can't be compared, and nobody gave a reason to do without.
    """
    what = f"{wish.name!r} version {champion.number}, at which {wish.alias!r} points,"
    try:
        comparison = _compared(registry, candidate, champion, test_split, what)
    except StudyError as error:
        if wish.why is None:
            raise StudyError(
                f"{error} Promote under another --name or --alias, or pass the gate with --force --why REASON."
            ) from None
        return None
    if wish.why is None and not comparison.is_better(level=wish.level, margin=wish.margin):
        margin = "" if wish.margin is None else f", or a lead of {wish.margin:g}"
        raise RefusedError(
            f"The candidate was not promoted: {what} is not shown to be worse.",
            *in_words(comparison),
            f"Asked for: a chance below {wish.level:g}{margin}. --margin lets a lead alone decide; --force --why "
            "REASON passes the gate.",
        )
    return comparison


def _compared(registry: Registry, candidate: Candidate, champion: Version, test_split: str, what: str) -> Comparison:
    with tempfile.TemporaryDirectory() as place:
        folder = registry.download(champion, Path(place))
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        if manifest.test_split != test_split:
            raise StudyError(f"{what} was tested on other images, so the two can't be compared one by one.")
        answers = load_answers(folder / EXTRA / TEST_ANSWERS)
        if answers is None or answers.logits.shape != candidate.answers.logits.shape:
            raise PackageError(f"What {what} answered on the test images can't be read.")
    return compare(candidate.answers, answers, candidate.objective)
