"""What scikit-learn fits, and the layers that answer as it does."""

from collections.abc import Generator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC, LinearSVC

from trainer.classical.forest import LEAST
from trainer.classical.learners import TREES_A_STAGE, Lesson, components, learn
from trainer.classical.model import build_classical
from trainer.classical.parts import Arrays, Components
from trainer.seeds import derive
from trainer.settings import AnyClassical, LogisticRegression, RandomForest, Svm

SIDE = 3
NUM_FEATURES = SIDE**2


def lesson(*, num_classes: int = 4, num_images: int = 200, weighs: bool = False) -> Lesson:
    """Noise around a centre for each class; the classes overlap."""
    rng = np.random.default_rng(0)
    labels = np.arange(num_images) % num_classes
    features = rng.normal(size=(num_images, NUM_FEATURES)) + rng.normal(size=(num_classes, NUM_FEATURES))[labels]
    weights = rng.uniform(0.2, 3.0, num_images) if weighs else np.ones(num_images)
    return Lesson(features.astype(np.float32), labels, weights, seed=7)


def new_images(num_images: int = 100) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(num_images, NUM_FEATURES)).astype(np.float32)


def finished(stages: Generator[None, None, Arrays]) -> tuple[Arrays, int]:
    """Return what a learner found, and the number of its stages."""
    num_stages = 0
    while True:
        try:
            next(stages)
        except StopIteration as end:
            return end.value, num_stages
        num_stages += 1


def logits(settings: AnyClassical, taught: Lesson, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the layer of a model answers once it is fitted."""
    model = build_classical(settings, image_shape=(SIDE, SIDE, 1), num_classes=taught.num_classes)
    model.head.take(finished(learn(settings, taught))[0])
    found: NDArray[np.float32] = model.head(torch.from_numpy(features)).numpy()
    return found


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = torch.from_numpy(scores).softmax(dim=1).numpy()
    return found


@pytest.mark.parametrize("num_classes", [2, 4])
@pytest.mark.parametrize("weighs", [False, True])
def test_logistic_regression_gives_the_probabilities_of_scikit_learn(num_classes: int, weighs: bool) -> None:
    taught = lesson(num_classes=num_classes, weighs=weighs)
    theirs = SklearnLogisticRegression(C=0.3, max_iter=1000).fit(taught.features, taught.labels, taught.weights)

    found = softmax(logits(LogisticRegression(features="pixels", c=0.3), taught, new_images()))

    np.testing.assert_allclose(found, theirs.predict_proba(new_images()), atol=1e-4)


@pytest.mark.parametrize("num_classes", [2, 4])
@pytest.mark.parametrize("depth", [0, 3])
def test_a_forest_gives_the_probabilities_of_scikit_learn(num_classes: int, depth: int) -> None:
    taught = lesson(num_classes=num_classes, weighs=True)
    settings = RandomForest(features="pixels", trees=TREES_A_STAGE + 10, depth=depth, leaf=2)
    theirs = RandomForestClassifier(
        settings.trees, max_depth=depth or None, min_samples_leaf=2, random_state=derive(7, "trees") % 2**32
    ).fit(taught.features, taught.labels, taught.weights)

    found = logits(settings, taught, new_images(1000))

    expected = np.log(np.maximum(theirs.predict_proba(new_images(1000)), LEAST))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_tree_of_one_leaf_knows_how_often_each_class_occurs() -> None:
    found = softmax(logits(RandomForest(features="pixels", trees=1, leaf=200), lesson(), new_images(3)))

    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(found, axis=0).max() == 0


def test_a_feature_at_a_threshold_goes_where_scikit_learn_sends_it() -> None:
    values = np.linspace(0, 1, 200, dtype=np.float32)
    features = np.repeat(values[:, None], NUM_FEATURES, axis=1)
    taught = Lesson(features, np.arange(200) % 2, np.ones(200), seed=7)
    forest = RandomForestClassifier(5, random_state=derive(7, "trees") % 2**32)
    forest.fit(features, taught.labels, taught.weights)
    between = forest.estimators_[0].tree_.threshold.astype(np.float32)
    odd = np.concatenate([between, np.nextafter(between, np.float32(2)), np.nextafter(between, np.float32(-2))])
    asked = np.repeat(odd[:, None], NUM_FEATURES, axis=1)

    found = logits(RandomForest(features="pixels", trees=5), taught, asked)

    np.testing.assert_allclose(found, np.log(np.maximum(forest.predict_proba(asked), LEAST)), atol=1e-4)


@pytest.mark.parametrize("num_classes", [3, 4])
@pytest.mark.parametrize("weighs", [False, True])
def test_a_machine_with_a_kernel_gives_the_decision_values_of_scikit_learn_times_one_number(
    num_classes: int, weighs: bool
) -> None:
    taught = lesson(num_classes=num_classes, weighs=weighs)
    theirs = [
        SVC(C=2.0, gamma=0.1)
        .fit(taught.features, taught.labels == number, taught.weights)
        .decision_function(new_images())
        for number in range(num_classes)
    ]

    found = logits(Svm(features="pixels", c=2.0, gamma=0.1), taught, new_images())

    assert_same_but_for_a_factor(found, np.stack(theirs, axis=1))


def test_without_a_gamma_the_kernel_takes_that_of_scikit_learn() -> None:
    taught = lesson()
    theirs = OneVsRestClassifier(SVC()).fit(taught.features, taught.labels)

    found = logits(Svm(features="pixels"), taught, new_images())

    assert_same_but_for_a_factor(found, theirs.decision_function(new_images()))


@pytest.mark.parametrize("weighs", [False, True])
def test_a_linear_machine_gives_the_decision_values_of_scikit_learn_times_one_number(weighs: bool) -> None:
    taught = lesson(weighs=weighs)
    theirs = LinearSVC(C=0.5, max_iter=1000).fit(taught.features, taught.labels, taught.weights)

    found = logits(Svm(features="pixels", kernel="linear", c=0.5), taught, new_images())

    assert_same_but_for_a_factor(found, theirs.decision_function(new_images()))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_of_two_classes_the_machine_names_the_one_that_scikit_learn_names(kernel: str) -> None:
    taught = lesson(num_classes=2)
    theirs = LinearSVC() if kernel == "linear" else SVC()

    found = logits(Svm(features="pixels", kernel=kernel), taught, new_images())  # type: ignore[arg-type]

    expected = theirs.fit(taught.features, taught.labels).predict(new_images())
    assert (found.argmax(axis=1) == expected).mean() > 0.97  # two fits meet at slightly different places


def assert_same_but_for_a_factor(found: NDArray[np.float32], expected: NDArray[np.float64]) -> None:
    factor = float((found * expected).sum() / np.square(expected).sum())
    assert factor > 0
    np.testing.assert_allclose(found, factor * expected, rtol=1e-3, atol=1e-3 * factor)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_scores_of_a_machine_are_as_sure_as_it_is_right_on_images_that_it_has_not_seen(kernel: str) -> None:
    whole = lesson(num_images=4000)
    taught = Lesson(whole.features[:1000], whole.labels[:1000], whole.weights[:1000], seed=7)

    found = softmax(logits(Svm(features="pixels", kernel=kernel), taught, whole.features[1000:]))  # type: ignore[arg-type]

    is_right = found.argmax(axis=1) == whole.labels[1000:]
    assert abs(found.max(axis=1).mean() - is_right.mean()) < 0.05


@pytest.mark.parametrize("wanted", [0.5, 0.9, 1, 3, 9, 10_000])
def test_components_are_those_of_scikit_learn(wanted: float) -> None:
    features = lesson().features
    theirs = PCA(n_components=wanted if wanted < 1 else min(int(wanted), NUM_FEATURES)).fit(features)
    layer = Components(NUM_FEATURES)

    layer.take(components(features, wanted))

    found = layer(torch.from_numpy(new_images())).numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(theirs.transform(new_images())), atol=1e-4)


def test_components_of_fewer_images_than_features_are_those_of_scikit_learn() -> None:
    few = lesson().features[:5]
    layer = Components(NUM_FEATURES)

    layer.take(components(few, 4))

    found = layer(torch.from_numpy(few)).numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(PCA(n_components=4).fit_transform(few)), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "num_stages"),
    [
        (LogisticRegression(features="pixels"), 0),
        (Svm(features="pixels"), 8),
        (RandomForest(features="pixels", trees=TREES_A_STAGE + 1), 2),
    ],
    ids=lambda part: type(part).__name__,
)
def test_long_fits_have_stages_between_which_a_job_can_stop(settings: AnyClassical, num_stages: int) -> None:
    assert finished(learn(settings, lesson()))[1] == num_stages


@pytest.mark.parametrize(
    "settings",
    [Svm(features="pixels"), RandomForest(features="pixels", trees=60)],
    ids=lambda part: type(part).__name__,
)
def test_equal_lessons_are_learnt_alike(settings: AnyClassical) -> None:
    first, second = (finished(learn(settings, lesson()))[0] for _ in range(2))

    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_class_of_a_single_image_can_be_learnt() -> None:
    whole = lesson()
    labels = np.where(np.arange(200) == 0, 4, whole.labels)

    found = logits(Svm(features="pixels"), Lesson(whole.features, labels, whole.weights, seed=7), new_images())

    assert found.shape == (100, 5)
    assert np.isfinite(found).all()
