"""What lies beside the graph of a promoted model, and whether it is what it was when it was made.

A package is a folder: `model.onnx`, and in `extra_files` the weights, the configurations, what the model answered on
the locked test split, a card for people, and `manifest.json`, which says what goes in and comes out and holds the
SHA-256 of every file. Nothing in it has to be unpickled, and nothing of autoclf is needed to use it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.errors import StudyError

SCHEMA = 1  # of the manifest
GRAPH = "model.onnx"
EXTRA = "extra_files"  # where MLflow puts what comes beside a model
MANIFEST = "manifest.json"
CARD = "README.md"
CONFIGS = "configs.json"
TEST_ANSWERS = "test_answers.npz"
LARGEST_SIDE = 4096  # pixels of the images that go in
LARGEST_MANIFEST = 4_000_000  # bytes, with thousands of class names


class PackageError(StudyError):
    """A package is damaged, incomplete, or of another version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a package holds."""

    class_names: tuple[str, ...]  # in the order of the probabilities
    image_shape: tuple[int, int, int]  # H, W, C of the uint8 images that go in
    resizing: str  # how images of another size were brought to it, for people
    temperature: float  # that logits are divided by, inside the graph
    images: str  # that it was trained on: train, or train+val
    study: str
    trials: Mapping[str, int]  # by number as text, how often each counts
    data: str  # fingerprint of the data set
    test_split: str  # digest of the locked images that it was tested on
    accuracy: tuple[float, float, float]  # and its 95 % interval
    judged_on: str  # whose images: test, or validation where it was never tested
    num_judged: int  # of them
    config: str  # fingerprint of the winner's configuration
    versions: Mapping[str, str]  # of what made it
    files: Mapping[str, str]  # SHA-256 by path in the folder


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a package whose other files are written."""
    text = json.dumps({"schema": SCHEMA, **asdict(manifest)}, indent=2, ensure_ascii=False)
    (folder / EXTRA / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a package; the files are not looked at yet.

    Raises:
        PackageError: If there is none, or it is none that this version understands.
    """
    path = folder / EXTRA / MANIFEST
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise PackageError(f"{path} is larger than a manifest can be.")
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            raise PackageError(
                f"{path} has layout {found['schema']!r}, and this version of autoclf reads {SCHEMA}: it was made by "
                "another version. Promote the model again."
            )
        values = {name: found[name] for name in Manifest.__dataclass_fields__}
        names, shape = tuple(values["class_names"]), tuple(values["image_shape"])
        value, low, high = map(float, values["accuracy"])
        if not (names and all(isinstance(name, str) for name in names) and _is_shape(shape)):
            raise PackageError(f"{path} names no classes, or no shape of images.")
        return Manifest(**values | {"class_names": names, "image_shape": shape, "accuracy": (value, low, high)})
    except OSError as error:
        raise PackageError(f"{folder} holds no package of autoclf: {path.name}: {error.strerror}.") from None
    except (ValueError, LookupError, TypeError) as error:
        raise PackageError(f"{path} is damaged ({type(error).__name__}: {error}). Promote the model again.") from None


def _is_shape(shape: tuple[object, ...]) -> bool:
    sizes = [size for size in shape if isinstance(size, int) and 0 < size <= LARGEST_SIDE]
    return len(shape) == len(sizes) == 3 and sizes[2] in (1, 3)


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check that every file is what it was when the package was made.

    Raises:
        PackageError: Naming the file that is missing or has changed.
    """
    if not manifest.files:
        raise PackageError(f"The manifest in {folder} tells of no files, so that none is known to be what it was.")
    for name, wanted in manifest.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise PackageError(f"The manifest in {folder} names a file outside the package: {name!r}.")
        try:
            found = digest_of(path)
        except OSError as error:
            raise PackageError(f"The package in {folder} lacks {name!r}: {error.strerror}.") from None
        if found != wanted:
            raise PackageError(
                f"{path} is not what it was when the package was made: its SHA-256 is {found[:12]}..., and "
                f"{str(wanted)[:12]}... was written down. Promote the model again, or restore the file."
            )


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of files of a package, by path in it."""
    return {name: digest_of(folder / name) for name in names}
