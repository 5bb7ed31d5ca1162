"""What every job has beside its network, optimizer, schedule, loss and augmentations."""

from dataclasses import dataclass
from typing import Literal

from trainer.settings.declare import BELOW_ONE, FRACTION, NOT_NEGATIVE, Range, number

# By how many training images: https://cs231n.github.io/transfer-learning/ gives the rule, the numbers are ours.
FEW_IMAGES = 1_000  # below which the head alone is trained
MANY_IMAGES = 10_000  # from which on everything is

WhatIsTrained = Literal["auto", "head", "blocks", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What is trained of a network with learnt weights; of no effect on one that begins from scratch."""

    train: WhatIsTrained = "auto"  # auto: by the number of training images
    blocks: int = number(2, Range(1, 1000))  # the last ones, beside the head, where blocks are trained
    layer_decay: float = number(1.0, Range(0, 1, low_open=True))  # rate of a block, times that of the one after it
    head_lr: float = number(1.0, Range(0, 1000, low_open=True))  # rate of the head, times the job's
    unfreeze_at: float = number(0.0, BELOW_ONE)  # share of training before which the head alone is trained
    freeze_norms: bool = False  # batch norms keep the averages that they have learnt
    cache_features: bool = True  # what never changes before the head is worked out once for all jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How long and in what portions."""

    epochs: float = number(10.0, Range(0, 10_000, low_open=True))  # at which the schedule ends; may be fractional
    batch_size: int = number(128, Range(1, 65_536))  # images a step
    ghost_batch: int = number(0, Range(0, 65_536))  # images that batch norms see at once; 0: as many as is fast
    label_smoothing: float = number(0.0, BELOW_ONE)
    balance: float = number(0.0, FRACTION)  # of sampling: 0 shows each image once an epoch, 1 all classes as often
    grad_clip: float = number(0.0, NOT_NEGATIVE)  # largest norm of the gradient; 0 leaves it alone
    adaptive_clip: float = number(0.0, NOT_NEGATIVE)  # largest norm of a unit's gradient, times that of its weights
    ema: float = number(0.0, BELOW_ONE)  # decay a step of the averaged weights that are scored; 0 scores the weights
    swa: float = number(0.0, BELOW_ONE)  # share of training from which on all weights are averaged alike, for `ema`
    preview: Literal["mean", "weights"] = "mean"  # scored before the last step, where ema and swa are 0
    start_size: float = number(1.0, Range(0.25, 1))  # share of the images' side that training begins with
    full_size_at: float = number(0.5, Range(0, 1, low_open=True))  # share of training at which they have grown to all
    watch: Literal["accuracy", "loss", "balanced_accuracy", "f1_macro"] = "accuracy"  # on validation; for what follows
    patience: int = number(0, Range(0, 10_000))  # epochs; the job ends when as many bring no gain; 0 trains to the end
    keep: Literal["last", "best"] = "last"  # weights that are scored, of the last epoch or of the best
    images: Literal["train", "train+val"] = "train"  # trained on; with both there is nothing left to score


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How images are shown when a network is scored, on validation and on test, and when it is used."""

    tta: Literal["none", "flip", "flip_shift"] = "none"  # mean logits over 1, 2 or 6 views; costs so many times as much

    @property
    def num_views(self) -> int:
        """Return in how many views an image is shown."""
        return {"none": 1, "flip": 2, "flip_shift": 6}[self.tta]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How the arithmetic is done; part of the job because sums in another order round differently."""

    device: str = "cpu"  # as torch names it: cpu, cuda, cuda:1, mps
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"  # of products; weights stay float32
    channels_last: bool = True
    micro_batch: int = number(65_536, Range(1, 65_536))  # images a forward pass; gradients add up to a batch
    threads: int = number(1, Range(1, 4096))  # of the processor, on CPU; of each process
    processes: int = number(1, Range(1, 1024))  # that train together, each on its share of a batch; a GPU each
    compile: Literal["auto", "never", "always"] = "auto"  # with torch.compile; auto: long jobs on a GPU


def what_is_trained(settings: Transfer, num_train: int) -> WhatIsTrained:
    """Return what of a network with learnt weights is trained: the user's word, or the rule for so many images."""
    if settings.train != "auto":
        return settings.train
    if num_train < FEW_IMAGES:
        return "head"
    return "blocks" if num_train < MANY_IMAGES else "all"
