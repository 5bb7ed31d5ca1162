"""The test split. Only the end of a search calls this, once: what looks earlier is no longer proven by it."""

from trainer.data.store import DataSet, Split, read_split


def open_test_split(data_set: DataSet) -> Split:
    """Map the test images, which nothing in a search has seen."""
    return read_split(data_set, "test")
