"""What scikit-learn fits on features, as arrays for the layers that answer as it does.

A learner is a generator: between two of its stages the job may be asked to stop. scikit-learn is imported where it
fits, as jobs of networks need not wait for it.

Shapes: N images, D features, K classes, S support vectors.
"""

import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from trainer.classical.calibration import calibrated_scale
from trainer.classical.forest import arrays_of
from trainer.classical.parts import Arrays
from trainer.data.splits import hold_out
from trainer.seeds import derive
from trainer.settings import AnyClassical, LogisticRegression, RandomForest, Svm

ITERATIONS = 1000  # of solvers that go on until nothing changes
HELD_SHARE = 0.2  # of the training images, on which scores of a support vector machine are calibrated
TREES_A_STAGE = 50

Floats = NDArray[np.float32]
Stages = Generator[None, None, Arrays]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a learner is given; every class from 0 to K - 1 occurs."""

    features: Floats  # (N, D)
    labels: NDArray[np.int64]  # (N,)
    weights: NDArray[np.float64]  # (N,), of the images
    seed: int
    threads: int = 1

    @property
    def num_classes(self) -> int:
        """Return K."""
        return int(self.labels.max()) + 1


def components(features: Floats, wanted: float) -> Arrays:
    """Return the principal components of (N, D) features, for `parts.Components`.

    Args:
        features: Of the images fitted on.
        wanted: Below 1 the share of the variance that they keep together, else how many; fewer where there are fewer.
    """
    from sklearn.decomposition import PCA

    solver = "covariance_eigh" if len(features) >= features.shape[1] else "full"
    number = wanted if wanted < 1 else min(int(wanted), *features.shape)
    found = PCA(n_components=number, svd_solver=solver).fit(features)
    return {"weight": found.components_, "bias": -found.components_ @ found.mean_}


def learn(settings: AnyClassical, lesson: Lesson) -> Stages:
    """Fit in stages; return the arrays of the layer that gives the logits."""
    match settings:
        case LogisticRegression():
            return _logistic_regression(settings, lesson)
        case Svm():
            return (yield from _svm(settings, lesson))
        case RandomForest():
            return (yield from _random_forest(settings, lesson))
    assert_never(settings)


def _logistic_regression(settings: LogisticRegression, lesson: Lesson) -> Arrays:
    from sklearn import linear_model

    machine = linear_model.LogisticRegression(C=settings.c, max_iter=ITERATIONS)
    with _ends_where_it_must():
        machine.fit(lesson.features, lesson.labels, sample_weight=lesson.weights)
    weight, bias = machine.coef_, machine.intercept_
    if lesson.num_classes == 2:  # one row for both: the logarithm of their odds
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return {"weight": weight, "bias": bias}


def _random_forest(settings: RandomForest, lesson: Lesson) -> Stages:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        max_depth=settings.depth or None,
        min_samples_leaf=settings.leaf,
        random_state=derive(lesson.seed, "trees") % 2**32,
        n_jobs=lesson.threads,
        warm_start=True,  # the trees that are there stay
    )
    for first in range(0, settings.trees, TREES_A_STAGE):
        forest.set_params(n_estimators=min(settings.trees, first + TREES_A_STAGE))
        forest.fit(lesson.features, lesson.labels, sample_weight=lesson.weights)
        yield
    return arrays_of(forest)


def _svm(settings: Svm, lesson: Lesson) -> Stages:
    """Fit twice: first on a part, whose rest says how sure the scores are, then on all images."""
    gamma = settings.gamma or 1 / max(lesson.features.shape[1] * float(lesson.features.var()), 1e-12)
    held = hold_out(lesson.labels, fraction=HELD_SHARE, keep=1, seed=derive(lesson.seed, "held"), split="val")
    drafts = yield from _machines(settings, gamma, lesson, ~held)
    scale = calibrated_scale(_scores(drafts, lesson.features[held]), lesson.labels[held])
    machines = yield from _machines(settings, gamma, lesson, np.ones_like(held))
    bias = scale * np.concatenate([machine.intercept_ for machine in machines])
    if settings.kernel == "linear":
        return {"weight": scale * np.concatenate([machine.coef_ for machine in machines]), "bias": bias}
    return {
        **_support(machines, lesson.features, scale),
        "bias": bias,
        "gamma": np.array(gamma),
    }


def _machines(
    settings: Svm, gamma: float, lesson: Lesson, chosen: NDArray[np.bool_]
) -> Generator[None, None, list[Any]]:
    """Fit one machine a class, against the rest of the (N,) chosen images."""
    from sklearn.svm import SVC, LinearSVC

    machines = []
    for number in range(lesson.num_classes):
        if settings.kernel == "linear":
            machine = LinearSVC(C=settings.c, max_iter=ITERATIONS, random_state=lesson.seed % 2**32)
        else:
            machine = SVC(C=settings.c, gamma=gamma)
        with _ends_where_it_must():
            machine.fit(lesson.features[chosen], lesson.labels[chosen] == number, lesson.weights[chosen])
        machines.append(machine)
        yield
    return machines


def _scores(machines: Sequence[Any], features: Floats) -> NDArray[np.float64]:
    """Return the (N, K) decision values."""
    if not len(features):
        return np.zeros((0, len(machines)))
    return np.stack([machine.decision_function(features) for machine in machines], axis=1)


def _support(machines: Sequence[Any], features: Floats, scale: float) -> Arrays:
    """Return the vectors that support any of the machines, and the weight of each in each."""
    numbers = np.unique(np.concatenate([machine.support_ for machine in machines]))
    weight = np.zeros((len(machines), len(numbers)))
    for row, machine in zip(weight, machines, strict=True):
        row[np.searchsorted(numbers, machine.support_)] = scale * machine.dual_coef_[0]
    return {"vectors": features[numbers], "weight": weight}


@contextmanager
def _ends_where_it_must() -> Iterator[None]:
    """Take what a solver has after `ITERATIONS`, without a warning: it is judged by its score like any other."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
