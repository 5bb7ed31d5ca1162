"""ONNX graphs in whole numbers of 8 bits, by ONNX Runtime's own tools.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html. Activations are unsigned, weights
signed and scaled by channel, which is what x86 processors with VNNI multiply fastest.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import StudyError

PORTION = 32  # calibration images at once
MULTIPLIED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
WITH_THEM = (
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "GlobalAveragePool",
    "MaxPool",
    "Relu",
)  # they pass whole numbers on


def quantize(graph: Path, out: Path, calibration: NDArray[np.uint8] | None) -> None:
    """Write a graph of floats as one of whole numbers.

    What stands before the first and after the last multiplication stays as it is: pixels are exact, and probabilities
    in steps of 1/255 would not add up to 1.

    Args:
        graph: To be read.
        out: To be written.
        calibration: Images (N, H, W, C) that show the ranges of activations; None for ranges that are found anew with
            each batch.

    Raises:
        StudyError: If there is nothing in the graph that can be quantized.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as name, _quiet():
        prepared = Path(name) / "prepared.onnx"
        quant_pre_process(graph, prepared, skip_symbolic_shape=True)
        nodes = list(onnx.load(prepared).graph.node)
        places = [place for place, node in enumerate(nodes) if node.op_type in MULTIPLIED]
        if not places:
            raise StudyError("The model multiplies nothing that could be done in whole numbers. Choose --format onnx.")
        if calibration is None:
            quantize_dynamic(prepared, out, weight_type=QuantType.QInt8, per_channel=True)
        else:
            quantize_static(
                prepared,
                out,
                _reader(calibration),
                op_types_to_quantize=[*MULTIPLIED, *WITH_THEM],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[node.name for node in (*nodes[: places[0]], *nodes[places[-1] + 1 :])],
            )


def _reader(images: NDArray[np.uint8]) -> Any:
    """Return the images as the tools ask for them."""
    from onnxruntime.quantization import CalibrationDataReader

    from trainer.export import INPUT

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            starts = range(0, len(images), PORTION)
            self._left: Iterator[NDArray[np.uint8]] = (images[start : start + PORTION] for start in starts)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            some = next(self._left, None)
            return None if some is None else {INPUT: some}

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the tools say of each node that they leave alone."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
