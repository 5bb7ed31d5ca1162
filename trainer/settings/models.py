"""Models, as a space names them: networks here, those without epochs beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from trainer.settings.classical import AnyClassical, LogisticRegression, RandomForest, Svm
from trainer.settings.declare import BELOW_ONE, Range, number


@dataclass(frozen=True, slots=True, kw_only=True)
class FastNet:
    """The net of the speed records on CIFAR-10: whitened first layer, three blocks, 2 M parameters."""

    width: float = number(1.0, Range(0.1, 8))  # times 64, 256, 256 channels
    depth: int = number(2, Range(1, 4))  # filter layers a block


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet9:
    """A ResNet of 8 filter layers, known from the DAWNBench entries."""

    width: int = number(64, Range(4, 512))  # channels of the first layer
    dropout: float = number(0.0, BELOW_ONE)  # before the head


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet:
    """Four stages of residual blocks."""

    width: int = number(64, Range(4, 512))  # channels of the first stage
    squeeze: int = number(0, Range(0, 64))  # gates on channels, worked out by so many times fewer units; 0: no gates
    dropout: float = number(0.0, BELOW_ONE)  # before the head
    drop_path: float = number(0.0, BELOW_ONE)  # share of images that pass by the last block; falls towards the first


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet18(ResNet):
    """ResNet-18 with the 3 x 3 stem for small images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet34(ResNet):
    """ResNet-34 with the 3 x 3 stem for small images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet50(ResNet):
    """ResNet-50, of bottlenecks, with the 3 x 3 stem for small images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WideResNet:
    """A wide ResNet of pre-activated blocks; `blocks` n and `width` k make WRN-(6n+4)-k."""

    blocks: int = number(2, Range(1, 16))  # a stage, of which there are three
    width: int = number(4, Range(1, 20))  # times 16, 32, 64 channels
    dropout: float = number(0.0, BELOW_ONE)  # between the two filter layers of a block
    drop_path: float = number(0.0, BELOW_ONE)  # share of images that pass by the last block; falls towards the first


@dataclass(frozen=True, slots=True, kw_only=True)
class LeNet5:
    """LeNet-5 with batch norms and ReLU; images below 32 pixels get a border."""

    width: float = number(1.0, Range(0.25, 16))  # times 6, 16 channels and 120, 84 features


@dataclass(frozen=True, slots=True, kw_only=True)
class Cnn:
    """The small net of beginners' tutorials: filters, ReLU and pooling, then two linear layers."""

    blocks: int = number(2, Range(2, 3))  # of filters, ReLU and pooling
    width: int = number(32, Range(4, 512))  # channels of the first layer; the next have twice as many
    dropout: float = number(0.0, BELOW_ONE)  # before the head


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvNext:
    """timm's ConvNeXt with a stem for small images."""

    size: Literal["atto", "femto", "pico", "nano", "tiny"] = "atto"
    patch: int = number(2, Range(1, 16))  # pixels; stride of the stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Vit:
    """timm's vision transformer with patches for small images."""

    dim: int = number(192, Range(16, 1024))  # a multiple of 64: that many heads of 64 each
    depth: int = number(6, Range(1, 24))
    patch: int = number(4, Range(1, 32))  # pixels
    drop_path: float = number(0.0, BELOW_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A network by the name that its library gives it."""

    name: str = "resnet18"  # as the library lists it
    pretrained: bool = False  # with its published weights, a new head on them
    weights: str = ""  # file:PATH of those weights; empty: downloaded
    dropout: float = number(0.0, BELOW_ONE)  # where the network has such layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Timm(Published):
    """Any network of timm, by its name in timm.list_models()."""

    drop_path: float = number(0.0, BELOW_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchVision(Published):
    """Any classification network of torchvision, by its name in torchvision.models.list_models()."""


AnyResNet = ResNet18 | ResNet34 | ResNet50
Model = FastNet | ResNet9 | AnyResNet | WideResNet | LeNet5 | Cnn | ConvNext | Vit | Timm | TorchVision | AnyClassical
MODELS: Mapping[str, type[Model]] = MappingProxyType(
    {
        "fastnet": FastNet,
        "resnet9": ResNet9,
        "resnet18": ResNet18,
        "resnet34": ResNet34,
        "resnet50": ResNet50,
        "wide_resnet": WideResNet,
        "lenet5": LeNet5,
        "cnn": Cnn,
        "convnext": ConvNext,
        "vit": Vit,
        "timm": Timm,
        "torchvision": TorchVision,
        "logistic_regression": LogisticRegression,
        "svm": Svm,
        "random_forest": RandomForest,
    }
)


def is_pretrained(model: Model) -> bool:
    """Say whether a model begins with weights that were learnt elsewhere."""
    return isinstance(model, Published) and (model.pretrained or bool(model.weights))
