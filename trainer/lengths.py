"""How many optimizer steps a job takes, how large the portions and the images of one are, and what an epoch costs."""

from trainer.config import JobConfig
from trainer.settings import Training, is_pretrained

SMALLEST_SIDE = 8  # pixels
HEAD_ALONE = {"all": 1 / 3, "blocks": 2 / 3}  # of a step's cost, while what is to be trained waits: of three passes
# through the network two are for its gradient, or for that of the last blocks, about a quarter of it
NUM_PARTS = 64  # of a training, in each of which a step costs the same


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
    share = _share_of_side(settings, progress)
    return side if share == 1.0 else min(side, max(SMALLEST_SIDE, 2 * round(side * share / 2)))


def effort(config: JobConfig, epochs: float) -> float:
    """Return what the first so many epochs cost, in the cost of epochs of full images of a network that trains.

    A step costs as much as its images have pixels, and less until the network joins its head, where the job says that
    it will. So early epochs of such a job say less of the seconds of later ones than their number would have it.
    """
    settings, transfer = config.training, config.transfer
    if settings.start_size == 1.0 and not transfer.unfreeze_at:
        return epochs
    part, inside = settings.epochs / NUM_PARTS, min(epochs, settings.epochs)
    whole = int(inside / part)
    costs = [_cost_of_step(config, (number + 0.5) / NUM_PARTS) for number in range(whole + 1)]
    return part * (sum(costs[:-1]) + (inside / part - whole) * costs[-1]) + (epochs - inside)


def _cost_of_step(config: JobConfig, progress: float) -> float:
    waits = is_pretrained(config.model) and progress < config.transfer.unfreeze_at
    share = HEAD_ALONE.get(config.transfer.train, 1.0) if waits else 1.0
    return share * _share_of_side(config.training, progress) ** 2


def _share_of_side(settings: Training, progress: float) -> float:
    return min(1.0, settings.start_size + (1 - settings.start_size) * progress / settings.full_size_at)
