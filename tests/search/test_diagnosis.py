"""Curves made by hand, and the words for them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import NAME, new_trial
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from search.answers import Answers, noise_share
from search.curves import curve_of, standard_error
from search.diagnosis import Finding, Word, diagnose, diagnosis_among, diagnosis_of, in_words
from search.executors.scripted import reading
from search.store import Store
from search.trials import Trial
from trainer.config import Value, all_settings, job_config
from trainer.jobfiles import PREDICTIONS
from trainer.results import EpochResult
from trainer.settings import MODELS

IMAGES = 5000
Numbers = Sequence[float]
Point = tuple[float, float, float, float]  # training loss and accuracy, validation loss and accuracy


def _trial(
    points: Sequence[Point],
    *,
    settings: Mapping[str, Value] | None = None,
    epochs: Numbers | None = None,
    reason: str = "",
    images: int = IMAGES,
) -> Trial:
    """A trial with a result at each whole epoch, which are all that it was to have, unless told otherwise."""
    at = [float(epoch) for epoch in range(1, len(points) + 1)] if epochs is None else list(epochs)
    config = job_config({"training.epochs": max([*at, 1.0]), **(settings or {})})
    results = tuple(_result(epoch, point, images) for epoch, point in zip(at, points, strict=True))
    return replace(new_trial(), config=config, results=results, reason=reason)


def _result(epoch: float, point: Point, images: int = IMAGES) -> EpochResult:
    train_loss, train_accuracy, val_loss, val_accuracy = point
    whole = reading(epoch, val_accuracy=val_accuracy, val_loss=val_loss, seconds=1.0)
    return replace(whole, train_loss=train_loss, train_accuracy=train_accuracy, val_images=images)


def _answers(accuracy: float, *, flipped: float = 0.0, num_classes: int = 10, seed: int = 0) -> Answers:
    """Answers of a network that doubts its own mistakes, and does not know of labels that were flipped."""
    rng = np.random.default_rng(seed)
    labels = np.arange(1000) % num_classes
    is_flipped = rng.random(1000) < flipped
    is_right = rng.random(1000) < accuracy / (1 - flipped)
    told = np.where(is_right, labels, (labels + 1) % num_classes)
    logits = rng.normal(0, 0.2, (1000, num_classes))
    logits[np.arange(1000), told] += np.where(is_right, 4, 1.5) + rng.normal(0, 0.5, 1000)
    given_labels = np.where(is_flipped, (labels + rng.integers(1, num_classes, 1000)) % num_classes, labels)
    return Answers(logits=logits.astype(np.float32), labels=given_labels)


def _words(trial: Trial, answers: Answers | None = None, rivals: Numbers = ()) -> list[str]:
    return [finding.word.value for finding in diagnose(trial, answers, rivals)]


def _towards(end: float, *, start: float, rate: float, num: int) -> list[float]:
    """Values that approach `end` from `start`, the faster the higher the rate."""
    return [end + (start - end) * math.exp(-rate * step) for step in range(num)]


def _settled(train: float, val: float, *, num: int = 24, rate: float = 0.6) -> list[Point]:
    """Accuracies that have come to rest, with losses to match."""
    accuracies = zip(
        _towards(train, start=0.2, rate=rate, num=num), _towards(val, start=0.2, rate=rate, num=num), strict=True
    )
    return [(2.3 * (1 - one), one, 2.3 * (1 - other), other) for one, other in accuracies]


def _memorising() -> list[Point]:
    """Training goes on to 0 loss; validation turns after a third of the time."""
    steps = range(1, 25)
    return [
        (2 * math.exp(-step / 4), 1 - 0.7 * math.exp(-step / 4), 0.5 + abs(step - 8) / 20, 0.85 - abs(step - 8) / 500)
        for step in steps
    ]


def _creeping(pace: float, *, trembling: float = 0.0) -> list[Point]:
    """Validation loss falls by the same little share of it each epoch, and trembles."""
    shaken = np.random.default_rng(0).normal(0, trembling, 48)
    return [(1.2, 0.6, (1 - pace) ** step + float(shake), 0.6) for step, shake in enumerate(shaken)]


def _blind(loss: float = math.log(10)) -> list[Point]:
    return [(loss, 0.1, loss, 0.1)] * 8


MIXED: Mapping[str, Value] = {"augment.mixup": 0.5, "training.label_smoothing": 0.1}
CURVES: dict[str, tuple[Trial, Answers | None, list[str]]] = {
    "no result": (_trial([]), None, ["too early"]),
    "a tenth of an epoch": (_trial([(2.3, 0.1, 2.3, 0.1)], epochs=[0.1]), _answers(0.1), ["too early"]),
    "three epochs": (_trial(_settled(0.9, 0.9)[:3]), None, ["too early"]),
    "stopped while it rests": (
        _trial(_settled(0.6, 0.6)[:12], settings={"training.epochs": 24.0}),
        None,
        ["too early"],
    ),
    "no number": (_trial(_settled(0.9, 0.9)[:2], reason="nan_loss"), None, ["diverged"]),
    "no number and no result": (_trial([], reason="nan_loss"), None, ["diverged"]),
    "loss explodes": (_trial([*_settled(0.9, 0.9)[:6], (40.0, 0.1, 90.0, 0.1)]), _answers(0.1), ["diverged"]),
    "loss was always enormous": (_trial(_blind(1e4)), _answers(0.1), ["diverged"]),
    "at chance": (_trial(_blind()), _answers(0.1), ["not learning"]),
    "validation turns": (_trial(_memorising()), _answers(0.85), ["overfitting"]),
    "gap": (_trial(_settled(0.999, 0.88)), _answers(0.88), ["overfitting"]),
    "memorises labels that mean nothing": (_trial(_settled(0.99, 0.1)), _answers(0.1), ["overfitting"]),
    "rises to the end": (_trial(_settled(0.9, 0.88, rate=0.05)), _answers(0.65), ["still improving"]),
    "rises to the end of a short training": (_trial(_settled(0.9, 0.88)[:6]), _answers(0.85), ["still improving"]),
    "creeps": (_trial(_creeping(0.002)), _answers(0.6), ["still improving"]),
    "creeps too slowly": (_trial(_creeping(0.0002)), _answers(0.6), ["underfitting"]),
    "trembles": (_trial(_creeping(0.0, trembling=0.05)), _answers(0.6), ["underfitting"]),
    "stuck low": (_trial(_settled(0.61, 0.6)), _answers(0.6), ["underfitting"]),
    "perfect": (_trial(_settled(1.0, 0.995)), _answers(0.995), ["good fit"]),
    "good": (_trial(_settled(0.95, 0.93)), _answers(0.93), ["good fit"]),
    "mixup at rest": (_trial(_settled(0.6, 0.93), settings=MIXED), _answers(0.93), ["hard training"]),
    "mixup at rest, low": (_trial(_settled(0.4, 0.7), settings=MIXED), _answers(0.7), ["hard training"]),
    "mixup, still rising": (_trial(_settled(0.6, 0.93, rate=0.05), settings=MIXED), None, ["still improving"]),
    "wrong labels in both": (_trial(_settled(0.79, 0.79)), _answers(0.79, flipped=0.2), ["label noise"]),
    "some wrong labels in both": (_trial(_settled(0.9, 0.89)), _answers(0.89, flipped=0.1), ["label noise"]),
    "wrong labels learnt by heart": (
        _trial(_settled(0.99, 0.75)),
        _answers(0.75, flipped=0.2),
        ["overfitting", "label noise"],
    ),
    "wrong labels in training alone": (_trial(_settled(0.8, 0.96)), _answers(0.96), ["label noise"]),
    "few images": (_trial(_settled(0.95, 0.93), images=60), _answers(0.93), ["good fit", "noisy validation"]),
}


@pytest.mark.parametrize("case", CURVES)
def test_a_curve_is_called_by_its_name(case: str) -> None:
    trial, answers, words = CURVES[case]

    assert _words(trial, answers) == words


def test_every_word_is_said_of_some_curve() -> None:
    assert {word for _, _, words in CURVES.values() for word in words} == {word.value for word in Word}


@pytest.mark.parametrize("case", CURVES)
def test_when_something_happened_does_not_matter(case: str) -> None:
    trial, answers, _ = CURVES[case]
    later = [replace(result, finished_at=result.finished_at + 1e6) for result in trial.results]

    assert diagnose(replace(trial, results=tuple(later), created_at=0.0), answers) == diagnose(trial, answers)


@pytest.mark.parametrize("case", [name for name, (_, answers, _) in CURVES.items() if answers])
def test_neither_the_names_of_classes_nor_the_order_of_images_matter(case: str) -> None:
    trial, answers, _ = CURVES[case]
    assert answers is not None
    rng = np.random.default_rng(0)
    names, images = rng.permutation(10), rng.permutation(1000)
    other = Answers(logits=answers.logits[images][:, np.argsort(names)], labels=names[answers.labels][images])

    assert diagnose(trial, other) == diagnose(trial, answers)


@pytest.mark.parametrize("case", CURVES)
def test_what_was_scored_before_the_first_whole_epoch_does_not_matter(case: str) -> None:
    trial, answers, words = CURVES[case]
    early = tuple(_result(epoch, (9.0, 0.0, 9.0, 0.0)) for epoch in (0.1, 0.5))

    assert _words(replace(trial, results=early + trial.results), answers) == words


@given(
    points=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 1)), max_size=30),
    accuracy=st.floats(0, 0.7),
    images=st.integers(1, 100_000),
)
def test_something_is_said_of_any_curve(points: list[Point], accuracy: float, images: int) -> None:
    for answers in (None, _answers(accuracy)):
        found = diagnose(_trial(points, images=images), answers, rivals=[0.5, 0.6])

        assert found
        assert len({finding.word for finding in found}) == len(found)
        assert all(finding.sentence.endswith(".") and finding.advice[-1:] in ("", ".") for finding in found)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CURVES)
def test_advice_names_settings_that_there_are(model: str, case: str) -> None:
    trial, answers, _ = CURVES[case]
    settings: dict[str, Value] = {"model": model, "training.epochs": trial.config.training.epochs}
    told = " ".join(map(str, diagnose(replace(trial, config=job_config(settings)), answers)))

    paths = {path.partition(":")[0] for path in re.findall(r"`([^`]+)`", told)}

    assert paths <= {*all_settings(), "budget.rungs", "data.val_fraction", "objective"}


def test_a_sentence_tells_the_numbers_that_it_rests_on() -> None:
    (finding,) = diagnose(_trial(_memorising()), None)

    assert finding.sentence == (
        "Validation loss rose from 0.5 at epoch 8 to 1.25, while training loss fell from 0.271 to 0.0065."
    )
    assert "`augment.mixup`" in finding.advice
    assert str(finding) == f"{finding.sentence} {finding.advice}"


def test_a_gap_within_the_error_of_few_images_is_none() -> None:
    assert "overfitting" not in _words(_trial(_settled(0.99, 0.92), images=30))
    assert "overfitting" in _words(_trial(_settled(0.99, 0.92)))


def test_a_validation_loss_that_jumps_anyway_has_not_turned() -> None:
    jumping = [(2.0 / step, 0.8, 0.6 + 0.2 * (step % 2), 0.85) for step in range(1, 17)]

    assert "overfitting" not in _words(_trial(jumping))


def test_surer_and_better_is_not_overfitting() -> None:
    surer = [(2.0 / step, 0.8 + step / 120, 0.5 + max(0, step - 8) / 40, 0.7 + step / 120) for step in range(1, 25)]

    assert "overfitting" not in _words(_trial(surer))


def test_a_majority_that_is_named_for_every_image_has_not_learnt() -> None:
    labels = np.repeat([0, 1], [900, 100])
    answers = Answers(logits=np.tile(np.float32([2.2, 0.0]), (1000, 1)), labels=labels)
    points = [(0.33, 0.9, 0.33, 0.9)] * 8

    assert _words(_trial(points), answers) == ["not learning"]


@pytest.mark.parametrize(("flipped", "words"), [(0.0, []), (0.1, ["label noise"]), (0.2, ["label noise"])])
def test_labels_of_real_digits_are_suspected_just_where_some_were_flipped(flipped: float, words: list[str]) -> None:
    digits = load_digits()
    rng = np.random.default_rng(0)
    is_flipped = rng.random(len(digits.target)) < flipped
    labels = np.where(is_flipped, (digits.target + rng.integers(1, 10, len(digits.target))) % 10, digits.target)
    order = rng.permutation(len(labels))
    model = LogisticRegression(max_iter=300).fit(digits.data[order[:1200]] / 16, labels[order[:1200]])
    logits = model.decision_function(digits.data[order[1200:]] / 16).astype(np.float32)
    answers = Answers(logits=logits, labels=labels[order[1200:]])
    accuracy = 1 - answers.num_wrong() / len(answers.labels)

    said = _words(_trial(_settled(accuracy, accuracy)), answers)

    assert [word for word in said if word == "label noise"] == words
    assert noise_share(answers) == pytest.approx(is_flipped[order[1200:]].mean(), abs=0.04)


@pytest.mark.parametrize(
    ("rivals", "is_noisy"),
    [((), False), ((0.93,), False), ((0.93, 0.931, 0.929, 0.8), True), ((0.93, 0.8, 0.7, 0.6), False)],
)
def test_trials_that_lie_within_the_standard_error_can_not_be_told_apart(rivals: Numbers, is_noisy: bool) -> None:
    assert ("noisy validation" in _words(_trial(_settled(0.95, 0.93)), rivals=rivals)) is is_noisy


def test_rivals_are_those_that_came_as_far(store: Store) -> None:
    points = _settled(0.95, 0.93)
    winner, *others = (replace(_trial(points), number=number) for number in range(4))
    short = replace(_trial(points[:8]), number=9)

    found = diagnosis_among([winner, *others, short], winner, store, NAME)

    assert "3 of 3 other trials" in found[-1].sentence


def test_predictions_are_looked_for_in_the_directory_of_the_trial(store: Store) -> None:
    trial, answers, _ = CURVES["at chance"]
    assert answers is not None
    before = in_words(diagnosis_of(trial, store, NAME))
    store.job(NAME, trial.number).mkdir(parents=True)
    _save(store.job(NAME, trial.number) / PREDICTIONS, answers)

    assert (before, in_words(diagnosis_of(trial, store, NAME))) == ("underfitting", "not learning")


def test_words_are_joined() -> None:
    findings = [Finding(word=word, sentence="A.") for word in (Word.OVERFITTING, Word.LABEL_NOISE)]

    assert in_words(findings) == "overfitting, label noise"


def _save(path: Path, answers: Answers) -> None:
    np.savez(path, logits=answers.logits, labels=answers.labels)


@pytest.mark.parametrize(("accuracy", "images", "error"), [(0.5, 96, 0.05), (1.0, 96, 0.014), (0.9, 10_000, 0.003)])
def test_the_standard_error_of_an_accuracy_is_never_nothing(accuracy: float, images: int, error: float) -> None:
    assert standard_error(accuracy, images) == pytest.approx(error, rel=0.02)


@pytest.mark.parametrize(("num", "window"), [(4, 2), (8, 2), (23, 2), (24, 3), (52, 6)])
def test_the_last_eighth_is_compared_with_the_one_before_it(num: int, window: int) -> None:
    curve = curve_of([_result(float(epoch), (0, 0, 0, epoch / 100)) for epoch in range(1, num + 1)])

    assert curve.now("val_accuracy") - curve.before("val_accuracy") == pytest.approx(window / 100)
