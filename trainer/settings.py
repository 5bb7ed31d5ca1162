"""The settings of one training job, section by section: frozen values with the range that each must lie in."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers that a field may hold; an absent bound is open to infinity."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        try:
            value = float(value)
        except OverflowError:  # a whole number beyond the floats
            return False
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{'above' if self.low_open else 'at least'} {self.low:g}"
        return f"in {'(' if self.low_open else '['}{self.low:g}, {self.high:g}{')' if self.high_open else ']'}"


# By how many training images: https://cs231n.github.io/transfer-learning/ gives the rule, the numbers are ours.
FEW_IMAGES = 1_000  # below which the head alone is trained
MANY_IMAGES = 10_000  # from which on everything is

POSITIVE = Range(0, low_open=True)
NOT_NEGATIVE = Range(0)
FRACTION = Range(0, 1)
BELOW_ONE = Range(0, 1, high_open=True)


def number(default: float, allowed: Range) -> Any:
    """Declare a numeric field with the range that its value must lie in."""
    return field(default=default, metadata={"range": allowed})


# Models


@dataclass(frozen=True, slots=True, kw_only=True)
class FastNet:
    """The net of the speed records on CIFAR-10: whitened first layer, three blocks, 2 M parameters."""

    width: float = number(1.0, Range(0.1, 8))  # times 64, 256, 256 channels
    depth: int = number(2, Range(1, 4))  # filter layers a block


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet9:
    """A ResNet of 8 filter layers, known from the DAWNBench entries."""

    width: int = number(64, Range(4, 512))  # channels of the first layer


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet18:
    """ResNet-18 with the 3 x 3 stem for small images."""

    width: int = number(64, Range(4, 512))  # channels of the first stage


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


# Optimizers; `lr` is the peak rate of one step at the job's batch size


@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd:
    """SGD with Nesterov momentum."""

    lr: float = number(0.1, POSITIVE)
    momentum: float = number(0.9, BELOW_ONE)
    weight_decay: float = number(5e-4, NOT_NEGATIVE)  # coupled: added to the gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Adam; its weight decay is coupled (an L2 penalty)."""

    lr: float = number(1e-3, POSITIVE)
    beta1: float = number(0.9, BELOW_ONE)
    beta2: float = number(0.999, BELOW_ONE)
    weight_decay: float = number(0.0, NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay."""

    lr: float = number(1e-3, POSITIVE)
    beta1: float = number(0.9, BELOW_ONE)
    beta2: float = number(0.999, BELOW_ONE)
    weight_decay: float = number(0.05, NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Muon:
    """Muon for the filters and hidden matrices, SGD with Nesterov momentum for the rest."""

    lr: float = number(0.24, POSITIVE)  # of the filters, each kept at norm 1 per row
    momentum: float = number(0.6, BELOW_ONE)
    sgd_lr: float = number(0.05, POSITIVE)  # of biases and norms; those of the fast net get 64 times as much
    head_lr: float = number(0.5, POSITIVE)  # of the last layer
    sgd_momentum: float = number(0.85, BELOW_ONE)
    weight_decay: float = number(2e-3, NOT_NEGATIVE)  # of the SGD part, times its rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Lion:
    """Lion: the sign of an interpolated momentum."""

    lr: float = number(3e-4, POSITIVE)
    beta1: float = number(0.9, BELOW_ONE)
    beta2: float = number(0.99, BELOW_ONE)
    weight_decay: float = number(0.1, NOT_NEGATIVE)


# Schedules; all are functions of the share of training that is done


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """Linear warm-up, then half a cosine to `floor`."""

    warmup: float = number(0.05, BELOW_ONE)  # share of training
    floor: float = number(0.0, FRACTION)  # share of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class OneCycle:
    """Cosine up from `start` to the peak, cosine down to nothing."""

    peak_at: float = number(0.3, Range(0, 1, low_open=True, high_open=True))  # share of training
    start: float = number(0.04, FRACTION)  # share of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Linear warm-up, then a straight line to `floor`."""

    warmup: float = number(0.0, BELOW_ONE)
    floor: float = number(0.0, FRACTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Times `gamma` at `first` and again at each equal share of what is left."""

    first: float = number(0.5, Range(0, 1, low_open=True, high_open=True))  # share of training
    drops: int = number(2, Range(1, 10))
    gamma: float = number(0.1, Range(0, 1, low_open=True))
    warmup: float = number(0.0, BELOW_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wsd:
    """Warm-up, stable, decay: constant until the last `decay` share, then a straight line to nothing."""

    warmup: float = number(0.05, BELOW_ONE)
    decay: float = number(0.3, Range(0, 1, low_open=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineRestarts:
    """`cycles` equal cosines, each from the peak to `floor`."""

    cycles: int = number(2, Range(1, 20))
    warmup: float = number(0.05, BELOW_ONE)
    floor: float = number(0.0, FRACTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """Linear warm-up, then the peak to the end."""

    warmup: float = number(0.0, BELOW_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiStep:
    """Times `gamma` at `first` and again at `second`."""

    first: float = number(0.5, Range(0, 1, low_open=True, high_open=True))  # share of training
    second: float = number(0.75, Range(0, 1, low_open=True, high_open=True))  # share of training
    gamma: float = number(0.1, Range(0, 1, low_open=True))
    warmup: float = number(0.0, BELOW_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential:
    """Linear warm-up, then the same share lost in every step, down to `floor`."""

    warmup: float = number(0.0, BELOW_ONE)
    floor: float = number(0.01, Range(0, 1, low_open=True))  # share of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Polynomial:
    """Linear warm-up, then a power of the share of training that is left, down to `floor`."""

    power: float = number(2.0, Range(0, 10, low_open=True))  # 1 is linear
    warmup: float = number(0.0, BELOW_ONE)
    floor: float = number(0.0, FRACTION)


# Losses; all are summed over classes, so that their rates are alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What is made small, image by image."""

    class_weights: Literal["none", "balanced", "effective"] = "none"  # images of rare classes count more
    beta: float = number(0.999, BELOW_ONE)  # of `effective`; nearer to 1 comes nearer to `balanced`


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEntropy(Loss):
    """Cross-entropy of the softmax."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bce(Loss):
    """Binary cross-entropy of each class by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Focal(Loss):
    """Cross-entropy in which what is known already counts less."""

    gamma: float = number(2.0, Range(0, 10))  # 0 is cross-entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitAdjusted(Loss):
    """Cross-entropy of logits that are given how often each class occurs, so that they need not learn it."""

    tau: float = number(1.0, Range(0, 10))  # 0 is cross-entropy


# What every job has


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Strengths of the augmentations of training images; 0 or `none` leaves one out."""

    crop_padding: int = number(0, Range(0, 64))  # pixels; reflected, then cropped back
    flip: Literal["none", "random", "alternating"] = "none"  # left to right
    cutout: int = number(0, Range(0, 512))  # pixels; side of the grey square
    color_jitter: float = number(0.0, FRACTION)  # brightness, contrast and saturation by 1 ± this
    rotation: float = number(0.0, Range(0, 180))  # degrees to either side
    mixup: float = number(0.0, Range(0, 10))  # alpha of Beta(alpha, alpha)
    cutmix: float = number(0.0, Range(0, 10))  # alpha of Beta(alpha, alpha)
    randaugment_ops: int = number(0, Range(0, 8))  # operations an image
    randaugment_magnitude: float = number(5.0, Range(0, 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What is trained of a network with learnt weights; of no effect on one that begins from scratch."""

    train: Literal["auto", "head", "blocks", "all"] = "auto"  # auto: by the number of training images
    blocks: int = number(2, Range(1, 1000))  # the last ones, beside the head, where blocks are trained
    layer_decay: float = number(1.0, Range(0, 1, low_open=True))  # rate of a block, times that of the one after it
    head_lr: float = number(1.0, Range(0, 1000, low_open=True))  # rate of the head, times the job's
    freeze_norms: bool = False  # batch norms keep the averages that they have learnt
    cache_features: bool = True  # what never changes before the head is worked out once for all jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How long and in what portions."""

    epochs: float = number(10.0, Range(0, 10_000, low_open=True))  # at which the schedule ends; may be fractional
    batch_size: int = number(128, Range(1, 65_536))  # images a step
    label_smoothing: float = number(0.0, BELOW_ONE)
    balance: float = number(0.0, FRACTION)  # of sampling: 0 shows each image once an epoch, 1 all classes as often
    grad_clip: float = number(0.0, NOT_NEGATIVE)  # largest norm of the gradient; 0 leaves it alone
    ema: float = number(0.0, BELOW_ONE)  # decay a step of the averaged weights that are scored; 0 scores the weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How images are shown when a network is scored, on validation and on test, and when it is used."""

    tta: Literal["none", "flip", "flip_shift"] = "none"  # mean logits over 1, 2 or 6 views; costs so many times as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How the arithmetic is done; part of the job because sums in another order round differently."""

    device: str = "cpu"  # as torch names it: cpu, cuda, cuda:1, mps
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of autocast; weights stay float32
    channels_last: bool = True
    micro_batch: int = number(65_536, Range(1, 65_536))  # images a forward pass; gradients add up to a batch
    threads: int = number(1, Range(1, 4096))  # of the processor, on CPU


Model = FastNet | ResNet9 | ResNet18 | ConvNext | Vit | Timm | TorchVision
Optimizer = Sgd | Adam | AdamW | Muon | Lion
Schedule = Cosine | OneCycle | Linear | Step | Wsd | CosineRestarts | Constant | MultiStep | Exponential | Polynomial
AnyLoss = CrossEntropy | Bce | Focal | LogitAdjusted
Section = Model | Optimizer | Schedule | AnyLoss | Augment | Transfer | Training | Scoring | Runtime


def is_pretrained(model: Model) -> bool:
    """Say whether a model begins with weights that were learnt elsewhere."""
    return isinstance(model, Published) and (model.pretrained or bool(model.weights))


def what_is_trained(settings: Transfer, num_train: int) -> str:
    """Return what of a network with learnt weights is trained: the user's word, or the rule for so many images."""
    if settings.train != "auto":
        return settings.train
    if num_train < FEW_IMAGES:
        return "head"
    return "blocks" if num_train < MANY_IMAGES else "all"
