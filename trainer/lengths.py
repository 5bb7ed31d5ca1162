"""How many optimizer steps a job takes, and how large the portions and the images of one are."""

from trainer.config import JobConfig
from trainer.settings import Training

SMALLEST_SIDE = 8  # pixels


def steps_in_epoch(config: JobConfig, num_images: int) -> int:
    """Return the optimizer steps of one epoch."""
    return num_images // min(config.training.batch_size, num_images)


def steps_until(config: JobConfig, num_images: int, epoch: float) -> int:
    """Return the optimizer steps of the first `epoch` epochs, at least one."""
    return max(1, round(epoch * steps_in_epoch(config, num_images)))


def portion_size(config: JobConfig, halvings: int = 0) -> int:
    """Return how many images go through the model at once, after memory ran out so many times."""
    most = config.training.ghost_batch or config.training.batch_size
    return max(1, min(config.runtime.micro_batch, config.training.batch_size, most) >> halvings)


def side_at(settings: Training, side: int, progress: float) -> int:
    """Return the side of training images, in pixels, when `progress`, in [0, 1], of the training is done.

    It grows in a straight line to `side`, in twos, so that every image of a batch keeps its middle.

    Source: Tan and Le 2021, "EfficientNetV2", arXiv:2104.00298, Sec. 4, progressive learning; here without its
    stronger regularisation on larger images.
    """
    share = min(1.0, settings.start_size + (1 - settings.start_size) * progress / settings.full_size_at)
    return side if share == 1.0 else min(side, max(SMALLEST_SIDE, 2 * round(side * share / 2)))
