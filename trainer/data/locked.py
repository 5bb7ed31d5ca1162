"""The test split. Only the end of a search calls this, once: what looks earlier is no longer proven by it."""

import hashlib

from trainer.data.store import DataSet, Split, images_file, labels_file, read_split


def open_test_split(data_set: DataSet) -> Split:
    """Map the test images, which nothing in a search has seen."""
    return read_split(data_set, "test")


def digest_of_test_split(data_set: DataSet) -> str:
    """Return the SHA-256 of the test images and labels: equal ones mean the same images in the same order."""
    digest = hashlib.sha256()
    for name in (images_file("test"), labels_file("test")):
        with (data_set.root / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
