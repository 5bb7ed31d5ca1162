"""A model without epochs: features of an image, their scale, their components, and the scores of classes."""

from typing import assert_never

from torch import Tensor, nn

from trainer.classical.forest import Forest
from trainer.classical.hog import Hog
from trainer.classical.parts import Components, Fitted, KernelScores, LinearScores, Scale
from trainer.errors import ConfigError
from trainer.settings import AnyClassical, LogisticRegression, RandomForest, Svm


class ClassicalModel(nn.Module):
    """Maps images to logits as a network does, so that it is scored, saved, exported and promoted as one."""

    def __init__(self, describe: nn.Module, num_features: int, *, has_components: bool, head: Fitted) -> None:
        super().__init__()
        self.describe = describe
        self.scale = Scale(num_features)
        self.components = Components(num_features) if has_components else None
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) normalised images to (N, K) logits."""
        features = self.scale(self.describe(images))
        if self.components is not None:
            features = self.components(features)
        logits: Tensor = self.head(features)
        return logits


def build_classical(settings: AnyClassical, *, image_shape: tuple[int, int, int], num_classes: int) -> ClassicalModel:
    """Build a model that is not fitted yet: its logits are the same for every class.

    Args:
        settings: Which model, on which features.
        image_shape: H, W, C of the images it will see.
        num_classes: Logits it gives an image.

    Raises:
        ConfigError: If the images are smaller than a cell.
    """
    height, width, channels = image_shape
    describe: nn.Module
    if settings.features == "hog":
        if settings.hog_cell > min(height, width):
            raise ConfigError(
                f"`model.hog_cell` is {settings.hog_cell}, these images have {min(height, width)} pixels. "
                f"Take a smaller cell, or `model.features: pixels`."
            )
        describe = Hog(cell=settings.hog_cell, orientations=settings.hog_orientations)
        num_features = describe.num_features(height, width)
    else:
        describe, num_features = nn.Flatten(), height * width * channels
    has_components = settings.pca > 0
    head = _head(settings, 1 if has_components else num_features, num_classes)
    return ClassicalModel(describe, num_features, has_components=has_components, head=head)


def _head(settings: AnyClassical, num_features: int, num_classes: int) -> Fitted:
    match settings:
        case LogisticRegression() | Svm(kernel="linear"):
            return LinearScores(num_features, num_classes)
        case Svm():
            return KernelScores(num_features, num_classes)
        case RandomForest():
            return Forest(num_classes)
    assert_never(settings)
