"""Who trains and who judges in the long-tailed set."""

import numpy as np

from benchmarks.long_tail import NUM_VAL, divided


def test_each_class_is_judged_by_as_many_images_and_none_of_them_trains() -> None:
    labels = np.tile(np.arange(3), 2000)
    taken = np.flatnonzero((labels == 0) | ((labels == 1) & (np.arange(6000) < 900)))  # all, 300 and none of a class

    train, val = divided(labels, taken)

    assert np.bincount(labels[val]).tolist() == [NUM_VAL] * 3
    assert np.bincount(labels[train], minlength=3).tolist() == [2000 - NUM_VAL, 300, 0]
    assert not set(train) & set(val)
