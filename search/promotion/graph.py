"""A candidate as one ONNX graph, checked against PyTorch before it may be registered."""

from pathlib import Path

import numpy as np

from search.errors import StudyError
from search.promotion.candidate import Trained
from trainer.data import DataSet, open_split

TOLERANCE = 1e-3  # largest difference of a probability between PyTorch and the exported graph
NUM_CHECKED = 64  # validation images that both are tried on


def write_graph(candidate: Trained, data_set: DataSet, path: Path) -> float:
    """Write the graph; return how far its probabilities are from PyTorch's, on validation images and flat ones.

    Raises:
        StudyError: If they differ by more than 0.001, or are no numbers.
    """
    import onnx
    import torch

    from trainer.export import export_onnx, load_together

    networks = [(member.config, member.weights, member.count) for member in candidate.members]
    servable = load_together(networks, data_set, temperature=candidate.temperature)
    export_onnx(servable, data_set, path)
    onnx.save_model(onnx.load(path), path)  # as MLflow will write it, to the byte
    seen = np.array(open_split(data_set, "val").images[:NUM_CHECKED])
    images = np.concatenate([seen, np.zeros_like(seen[:1]), np.full_like(seen[:1], 255)])  # flat: what is divided by 0
    with torch.inference_mode():
        wanted = servable(torch.from_numpy(images)).numpy()
    difference = float(np.abs(probabilities_of(path, images) - wanted).max())
    if not difference <= TOLERANCE:
        raise StudyError(
            "The exported graph answers differently from the trained model: "
            f"probabilities differ by up to {difference:.2g} where {TOLERANCE:g} is allowed. It was not registered."
        )
    return difference


def probabilities_of(
    graph: Path, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the probabilities (N, K) that a graph gives for images (N, H, W, C)."""
    import onnxruntime

    from trainer.export import INPUT

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = session.run(None, {INPUT: images})[0]
    return found
