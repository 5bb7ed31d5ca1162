"""What a look at the images suggests for a search of them."""

from collections.abc import Iterator

from trainer.data.inspection import Inspection
from trainer.settings import Transfer, what_is_trained

SIZES = (32, 48, 64, 96, 128, 160, 192, 224)  # pixels a side, up to that of most published weights
UNEVEN = 1.5  # times the images of the smallest class that the largest may have before accuracy misleads
LEAST_SIDE = 64  # pixels, below which published weights have little to go by
KEPT_SHARE = 0.72  # of the training images, where test and validation are still to be cut from them


def suggest(found: Inspection) -> dict[str, object]:
    """Return settings for `--set`, by path; what is left out is well as it is.

    The size is the largest usual one that most images have; the objective counts classes alike where they are of
    unequal size; copies are left out where they stand in more than one split.
    """
    return dict(_suggestions(found))


def suggest_training(found: Inspection) -> tuple[str | None, int]:
    """Return what of a network with published weights to train, as `transfer.train` has it, for how many images.

    None for images so small that such a network would see little in them: one from scratch suits them better.
    """
    num_train = sum(found.counts["train"])
    if len(found.counts) == 1:
        num_train = round(KEPT_SHARE * num_train)
    if found.sizes is None or min(found.sizes.width.median, found.sizes.height.median) < LEAST_SIDE:
        return None, num_train
    return what_is_trained(Transfer(), num_train), num_train


def _suggestions(found: Inspection) -> Iterator[tuple[str, object]]:
    if found.sizes is not None:
        shorter = min(found.sizes.width.median, found.sizes.height.median)
        usual = max((size for size in SIZES if size <= shorter), default=SIZES[0])
        yield "data.image_size", shorter if "array" in found.formats else usual  # arrays have one size, their own
    counts = [count for count in found.counts["train"] if count]
    if counts and max(counts) >= UNEVEN * min(counts):
        yield "objective", "val/balanced_accuracy"
    if found.near_copies is not None and found.near_copies.num_across_splits:
        yield "data.duplicates", "near"
    elif found.copies.num_across_splits:
        yield "data.duplicates", "exact"
