"""A package that answers: its graph in ONNX Runtime, tried once before anything relies on it.

Shapes: N images, H W pixels, C channels, K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.promotion.package import GRAPH, Manifest, PackageError, check_files, read_manifest
from trainer.data.filling import num_processors

INPUT, OUTPUT = "images", "probabilities"  # as in trainer.export, which loads torch
LARGEST_PORTION = 64  # images that go through the graph at once: more do not fit into a processor's cache
LARGEST_GRAPH = 2 * 2**30  # bytes: what one file of this kind can hold
SUM_SLACK = 1e-3  # that the probabilities of an image may miss 1 by

Images = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Predictor:
    """A checked model; threads may share it."""

    manifest: Manifest
    name: str  # as people know it, such as digits@champion
    _session: Any = field(repr=False)

    def probabilities(self, images: Images, *, portion: int = LARGEST_PORTION) -> Probabilities:
        """Return the probabilities (N, K), float32, of images (N, H, W, C), uint8, of the model's size.

        Raises:
            ValueError: If the images are of another shape or dtype, or there are none.
        """
        if images.dtype != np.uint8 or images.shape[1:] != self.manifest.image_shape or not len(images):
            raise ValueError(
                f"The model takes uint8 images of shape (N, {', '.join(map(str, self.manifest.image_shape))}), "
                f"got {images.dtype} of {images.shape}."
            )
        return np.concatenate([self._session.run(None, {INPUT: some})[0] for some in _portions(images, portion)])


def load_predictor(folder: Path, *, name: str, threads: int | None = None) -> Predictor:
    """Open a package: its files are checked, and images must come through.

    Args:
        folder: Of the package.
        name: For people.
        threads: Of the graph; None for one a processor.

    Raises:
        PackageError: If it is damaged, wants other files than its own, or answers no probabilities.
    """
    manifest = read_manifest(folder)
    if GRAPH not in manifest.files:
        raise PackageError(f"{folder} holds no {GRAPH}, which answers images: it was exported in another format.")
    check_files(folder, manifest)
    path = folder / GRAPH
    if path.stat().st_size > LARGEST_GRAPH:
        raise PackageError(f"{path} is larger than {LARGEST_GRAPH // 2**30} GiB, the most that is loaded.")
    predictor = Predictor(manifest, name, _session_of(path, threads or num_processors()))
    _try_out(predictor, folder)
    return predictor


def _session_of(path: Path, threads: int) -> Any:
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        graph = onnx.load(path, load_external_data=False).graph
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer):
            raise PackageError(f"{path} keeps its weights in other files; a package has all of them inside.")
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except PackageError:
        raise
    except Exception as error:  # noqa: BLE001  -- whatever a foreign graph does to the two libraries
        raise PackageError(f"{path} can't be loaded: {_first_line(error)}") from None


def _try_out(predictor: Predictor, folder: Path) -> None:
    """Let black, white and noisy images through, as many as three and one: all must have probabilities."""
    session, manifest = predictor._session, predictor.manifest
    inputs, outputs = [item.name for item in session.get_inputs()], [item.name for item in session.get_outputs()]
    if inputs != [INPUT] or outputs != [OUTPUT]:
        raise PackageError(f"The graph in {folder} takes {inputs} and gives {outputs}, not {INPUT!r} and {OUTPUT!r}.")
    rng = np.random.default_rng(0)
    shape = manifest.image_shape
    images = np.stack([np.zeros(shape), np.full(shape, 255), rng.integers(0, 256, shape)]).astype(np.uint8)
    try:
        found = [predictor.probabilities(some) for some in (images, images[:1])]
    except Exception as error:  # noqa: BLE001
        raise PackageError(f"The graph in {folder} does not run: {_first_line(error)}") from None
    for answer, num in zip(found, (3, 1), strict=True):
        if answer.shape != (num, len(manifest.class_names)):
            raise PackageError(
                f"The graph in {folder} gives an array of {answer.shape} for {num} images and "
                f"{len(manifest.class_names)} classes."
            )
        if not np.isfinite(answer).all() or answer.min() < 0 or abs(answer.sum(axis=1) - 1).max() > SUM_SLACK:
            raise PackageError(f"The graph in {folder} gives numbers that are no probabilities: weights are broken.")


def _portions(images: Images, portion: int) -> Iterator[Images]:
    return (images[start : start + portion] for start in range(0, len(images), portion))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
