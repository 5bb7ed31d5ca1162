"""Which settings of a job to try next, by what is wrong with it; only settings that the job has are named."""

from collections.abc import Iterable, Mapping

from trainer.config import JobConfig, flat
from trainer.settings import Classical, LogisticRegression, RandomForest, Svm, is_pretrained

OFF = (0, "none")
MOST_NAMED = 3  # settings in one piece of advice
CAPACITY: Mapping[str, tuple[str, ...]] = {  # what makes a network larger, by its name
    "fastnet": ("model.width", "model.depth"),
    "resnet9": ("model.width",),
    "resnet18": ("model.width",),
    "resnet34": ("model.width",),
    "resnet50": ("model.width",),
    "wide_resnet": ("model.width", "model.blocks"),
    "lenet5": ("model.width",),
    "cnn": ("model.width", "model.blocks"),
    "convnext": ("model.size",),
    "vit": ("model.dim", "model.depth"),
    "timm": ("model.name",),
    "torchvision": ("model.name",),
    "logistic_regression": ("model.c", "model.hog_cell"),
    "svm": ("model.c", "model.hog_cell"),
    "random_forest": ("model.trees", "model.depth"),
}
OF_CLASSICAL: Mapping[type[Classical], tuple[str, ...]] = {  # what holds a model without epochs back
    LogisticRegression: ("model.c", "model.pca"),
    Svm: ("model.c", "model.pca"),
    RandomForest: ("model.leaf", "model.depth"),
}
REGULARISERS = (  # what holds a network back from fitting its training images, the strongest first
    "augment.mixup",
    "augment.cutmix",
    "augment.randaugment_ops",
    "augment.policy",
    "augment.augmix",
    "augment.cutout",
    "augment.erasing",
    "training.label_smoothing",
    "model.dropout",
    "model.drop_path",
    "augment.color_jitter",
    "augment.rotation",
    "augment.elastic",
    "augment.blur",
    "augment.grey",
    "augment.crop_padding",
    "augment.flip",
    "optimizer.weight_decay",
)
MILD = (
    "augment.flip",
    "optimizer.weight_decay",
    "training.label_smoothing",
)  # training accuracy stays where it is
NOT_AS_SHOWN = (
    "training.ema",
    "training.swa",
    "training.balance",
    "scoring.tta",
    "loss.class_weights",
)  # training sees other scores


def more_capacity(config: JobConfig) -> tuple[str, ...]:
    """Return the settings that let a network fit more."""
    frozen = ("transfer.train", "transfer.blocks") if is_pretrained(config.model) else ()
    return (*frozen, *CAPACITY[str(flat(config)["model"])])


def regularisers(config: JobConfig, *, on: bool) -> tuple[str, ...]:
    """Return the regularisers that a job uses, or those that it has and does not use."""
    settings = flat(config)
    if isinstance(config.model, Classical):
        return () if on else OF_CLASSICAL[type(config.model)]
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
