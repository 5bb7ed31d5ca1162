"""Make the long-tailed CIFAR-10 that remedies for imbalance are compared on, as an npz for the `imbalanced` space.

Trials are judged by 500 images of each class, so that rare classes are judged as well as frequent ones: images that the
index file leaves out, and where it leaves none out, as of its most frequent class, images that training then does
without. The test split is CIFAR-10's own.

    python -m benchmarks.long_tail --cifar10 FILE.npz --indices FILE.npy --out long_tail.npz
    autoclf search --space imbalanced --data npz:long_tail.npz
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NUM_VAL = 500  # of each class


def divided(labels: NDArray[np.int64], taken: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the images that train, and of those that judge: the first 500 of each class.

    Args:
        labels: Of all images.
        taken: Numbers of the images that would train if none had to judge.
    """
    free = np.setdiff1d(np.arange(len(labels)), taken)
    by_class = [np.concatenate([free[labels[free] == k], taken[labels[taken] == k]]) for k in np.unique(labels)]
    val = np.concatenate([numbers[:NUM_VAL] for numbers in by_class])
    return np.setdiff1d(taken, val), val


def main() -> None:
    """Write the file and say how large its classes are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--indices", type=Path, required=True, help="numbers of the training images, (N,) in an npy")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    with np.load(asked.cifar10) as arrays:
        data = {name: arrays[name] for name in arrays.files}
    train, val = divided(data["y_train"], np.load(asked.indices))
    parts = {
        f"{axis}_{split}": data[f"{axis}_train"][n] for axis in "xy" for split, n in (("train", train), ("val", val))
    }
    rest = {name: data[name] for name in data if not name.endswith("_train")}
    np.savez_compressed(asked.out, **parts, **rest)
    for split in ("train", "val"):
        print(f"{split} images by class:", *np.bincount(parts[f"y_{split}"]))


if __name__ == "__main__":
    main()
