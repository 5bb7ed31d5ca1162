"""A candidate as one ONNX graph, checked against PyTorch before it may be registered."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.errors import StudyError
from search.promotion.candidate import Trained
from trainer.data import DataSet, open_split

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-3  # largest difference of a probability between PyTorch and the exported graph
NUM_CHECKED = 64  # validation images that both are tried on


def write_graph(candidate: Trained, data_set: DataSet, path: Path) -> float:
    """Write the graph; return how far its probabilities are from PyTorch's, on validation images and flat ones.

    Raises:
        StudyError: If they differ by more than 0.001, or are no numbers.
    """
    import torch

    from trainer.export import load_together

    networks = [(member.config, member.weights, member.count) for member in candidate.members]
    servable = load_together(networks, data_set, temperature=candidate.temperature)
    save_onnx(servable, data_set, path)
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


def save_onnx(servable: "nn.Module", data_set: DataSet, path: Path) -> None:
    """Write a model as one ONNX file that takes any number of images, to the byte as MLflow will write it again."""
    import onnx

    from trainer.export import export_onnx

    export_onnx(servable, data_set, path)
    model = onnx.load(path)
    _take_bytes_once(model.graph)
    onnx.save_model(model, path)


def _take_bytes_once(graph: Any) -> None:
    """Let nothing but the cast to floats read the images: TensorRT takes bytes nowhere else, not even their shape."""
    from trainer.export import INPUT

    cast = next((node for node in graph.node if node.op_type == "Cast" and list(node.input) == [INPUT]), None)
    if cast is None:  # a model that is no network, and begins otherwise
        return
    others = [node for node in graph.node if node is not cast]
    for node in others:
        for place, name in enumerate(node.input):
            if name == INPUT:
                node.input[place] = cast.output[0]
    first = type(cast)()
    first.CopyFrom(cast)
    copies = [type(node).FromString(node.SerializeToString()) for node in others]
    del graph.node[:]
    graph.node.extend([first, *copies])


def probabilities_of(
    graph: Path, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the probabilities (N, K) that a graph gives for images (N, H, W, C)."""
    import onnxruntime

    from trainer.export import INPUT

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = session.run(None, {INPUT: images})[0]
    return found
