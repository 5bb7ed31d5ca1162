"""Models without epochs, as a space names them: fitted once, on features of the images."""

from dataclasses import dataclass
from typing import Literal

from trainer.settings.declare import NOT_NEGATIVE, POSITIVE, Range, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Classical:
    """What is worked out of an image before a model without epochs sees it."""

    features: Literal["hog", "pixels"] = "hog"  # histograms of oriented gradients, or the pixels as they are
    hog_cell: int = number(8, Range(2, 256))  # pixels; side of a cell
    hog_orientations: int = number(9, Range(2, 36))  # directions told apart over half a turn
    pca: float = number(0.0, Range(0, 10_000))  # below 1 a share of the variance, from 1 so many components; 0: none


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticRegression(Classical):
    """Multinomial logistic regression."""

    c: float = number(1.0, POSITIVE)  # inverse strength of the L2 penalty


@dataclass(frozen=True, slots=True, kw_only=True)
class Svm(Classical):
    """A support vector machine, each class against the rest."""

    kernel: Literal["linear", "rbf"] = "rbf"
    c: float = number(1.0, POSITIVE)  # inverse strength of the L2 penalty
    gamma: float = number(0.0, NOT_NEGATIVE)  # of rbf; 0: one by the number of features times their variance
    max_images: int = number(10_000, Range(100, 1_000_000))  # fitted on by rbf, whose time grows with their square


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomForest(Classical):
    """A random forest."""

    trees: int = number(300, Range(1, 5000))
    depth: int = number(0, Range(0, 100))  # of a tree, at most; 0: until its leaves are pure
    leaf: int = number(1, Range(1, 10_000))  # images in a leaf, at least


AnyClassical = LogisticRegression | Svm | RandomForest
