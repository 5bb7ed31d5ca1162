"""Make the long-tailed CIFAR-10 that remedies for imbalance are compared on, as an npz for the `imbalanced` space.

Training images are those of the index file; 500 of each class that it leaves out judge the trials, so that rare classes
are judged as well as frequent ones; the test split is CIFAR-10's own.

    python -m benchmarks.long_tail --cifar10 FILE.npz --indices FILE.npy --out long_tail.npz
    autoclf search --space imbalanced --data npz:long_tail.npz
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NUM_VAL = 500  # of each class


def held_out(labels: NDArray[np.int64], taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of the first images of each class that are not taken."""
    free = np.setdiff1d(np.arange(len(labels)), taken)
    return np.concatenate([free[labels[free] == k][:NUM_VAL] for k in np.unique(labels)])


def main() -> None:
    """Write the file and say how large its classes are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--indices", type=Path, required=True, help="numbers of the training images, (N,) in an npy")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    with np.load(asked.cifar10) as arrays:
        data = {name: arrays[name] for name in arrays.files}
    train = np.load(asked.indices)
    val = held_out(data["y_train"], train)
    parts = {
        f"{axis}_{split}": data[f"{axis}_train"][n] for axis in "xy" for split, n in (("train", train), ("val", val))
    }
    rest = {name: data[name] for name in data if not name.endswith("_train")}
    np.savez_compressed(asked.out, **parts, **rest)
    print("training images by class:", *np.bincount(parts["y_train"]))


if __name__ == "__main__":
    main()
