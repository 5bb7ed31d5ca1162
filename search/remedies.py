"""Which settings of a job to try next, by what is wrong with it; only settings that the job has are named."""

from collections.abc import Iterable, Mapping

from trainer.config import JobConfig, flat
from trainer.settings import is_pretrained

OFF = (0, "none")
MOST_NAMED = 3  # settings in one piece of advice
CAPACITY: Mapping[str, tuple[str, ...]] = {  # what makes a network larger, by its name
    "fastnet": ("model.width", "model.depth"),
    "resnet9": ("model.width",),
    "resnet18": ("model.width",),
    "convnext": ("model.size",),
    "vit": ("model.dim", "model.depth"),
    "timm": ("model.name",),
    "torchvision": ("model.name",),
}
REGULARISERS = (  # what holds a network back from fitting its training images, the strongest first
    "augment.mixup",
    "augment.cutmix",
    "augment.randaugment_ops",
    "augment.cutout",
    "training.label_smoothing",
    "model.dropout",
    "model.drop_path",
    "augment.color_jitter",
    "augment.rotation",
    "augment.crop_padding",
    "augment.flip",
    "optimizer.weight_decay",
)
MILD = (
    "augment.flip",
    "optimizer.weight_decay",
    "training.label_smoothing",
)  # training accuracy stays where it is
NOT_AS_SHOWN = ("training.ema", "training.balance", "scoring.tta", "loss.class_weights")  # training sees other scores


def more_capacity(config: JobConfig) -> tuple[str, ...]:
    """Return the settings that let a network fit more."""
    frozen = ("transfer.train", "transfer.blocks") if is_pretrained(config.model) else ()
    return (*frozen, *CAPACITY[str(flat(config)["model"])])


def regularisers(config: JobConfig, *, on: bool) -> tuple[str, ...]:
    """Return the regularisers that a job uses, or those that it has and does not use."""
    settings = flat(config)
    return tuple(path for path in REGULARISERS if path in settings and (settings[path] not in OFF) is on)


def hardens_training(config: JobConfig) -> bool:
    """Say whether a setting explains a training accuracy below that of validation."""
    settings = flat(config)
    hard = [path for path in regularisers(config, on=True) if path not in MILD]
    return bool(hard) or any(settings[path] not in OFF for path in NOT_AS_SHOWN)


def named(paths: Iterable[str]) -> str:
    """Return settings as a sentence names them: the first few, in backticks.

    Raises:
        ValueError: If there are none.
    """
    *most, last = [f"`{path}`" for path in list(paths)[:MOST_NAMED]]
    return f"{', '.join(most)} or {last}" if most else last
