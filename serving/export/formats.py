"""The forms that a model is written in; each function reads back what it wrote, so that the file is what is checked.

Shapes: N images, H W pixels, C channels, K classes.
"""

import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from search.promotion.graph import save_onnx
from search.promotion.package import CONFIGS, EXTRA, GRAPH
from serving.export.quantize import quantize
from serving.export.source import Source
from serving.export.tensorrt import write_repository
from trainer.config import flat
from trainer.data.filling import num_processors

if TYPE_CHECKING:
    from torch import nn

Images = NDArray[np.uint8]  # (N, H, W, C)
Answer = Callable[[Images], NDArray[np.float32]]  # to probabilities (N, K)
PROGRAM, SCRIPT = "model.pt2", "model.torchscript.pt"


def write_onnx(servable: "nn.Module", source: Source, folder: Path, calibration: Images) -> Answer:
    """Write one ONNX file with the weights inside."""
    save_onnx(servable, source.data_set, folder / GRAPH)
    return onnx_answer(folder / GRAPH)


def write_int8(servable: "nn.Module", source: Source, folder: Path, calibration: Images) -> Answer:
    """Write ONNX in whole numbers of 8 bits, whose ranges of activations were seen on calibration images."""
    return _write_quantized(servable, source, folder, calibration)


def write_int8_dynamic(servable: "nn.Module", source: Source, folder: Path, calibration: Images) -> Answer:
    """Write ONNX with weights of 8 bits; ranges of activations are found anew for each batch."""
    return _write_quantized(servable, source, folder, None)


def write_program(servable: "nn.Module", source: Source, folder: Path, calibration: Images) -> Answer:
    """Write a program of `torch.export`, for any batch size."""
    import torch

    from trainer.export import LARGEST_BATCH

    examples = torch.zeros((2, *source.data_set.image_shape), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    with _quiet():
        program = torch.export.export(servable, (examples,), dynamic_shapes=({0: batch},))
        torch.export.save(program, folder / PROGRAM)
        return torch_answer(torch.export.load(folder / PROGRAM).module())


def write_script(servable: "nn.Module", source: Source, folder: Path, calibration: Images) -> Answer:
    """Write a traced TorchScript, which PyTorch holds for outdated."""
    import torch

    examples = torch.zeros((2, *source.data_set.image_shape), dtype=torch.uint8)
    with _quiet(), torch.inference_mode():
        torch.jit.save(torch.jit.trace(servable, (examples,)), folder / SCRIPT)  # type: ignore[no-untyped-call]
        return torch_answer(torch.jit.load(folder / SCRIPT))  # type: ignore[no-untyped-call]


def write_weights(servable: "nn.Module", source: Source, folder: Path, calibration: Images) -> Answer:
    """Write the weights as safetensors, and the settings that a network for them is built by."""
    from trainer.export import load_together

    extra = folder / EXTRA
    numbers = list(source.manifest.trials)
    for number, (_, weights, _) in zip(numbers, source.networks, strict=True):
        shutil.copy(weights, extra / f"weights-{number}.safetensors")
    configs = {number: flat(config) for number, (config, _, _) in zip(numbers, source.networks, strict=True)}
    (extra / CONFIGS).write_text(json.dumps(configs, indent=2) + "\n", encoding="utf-8")
    written = [
        (config, extra / f"weights-{number}.safetensors", count)
        for number, (config, _, count) in zip(numbers, source.networks, strict=True)
    ]
    return torch_answer(load_together(written, source.data_set, temperature=source.manifest.temperature))


def write_triton(servable: "nn.Module", source: Source, folder: Path, calibration: Images) -> Answer:
    """Write a model repository for NVIDIA's Triton server, with the ONNX file."""
    graph = write_repository(folder, source.manifest, write=lambda path: save_onnx(servable, source.data_set, path))
    return onnx_answer(graph)


Writer = Callable[["nn.Module", Source, Path, Images], Answer]
WRITERS: Mapping[str, Writer] = {
    "onnx": write_onnx,
    "onnx-int8": write_int8,
    "onnx-int8-dynamic": write_int8_dynamic,
    "torch-export": write_program,
    "torchscript": write_script,
    "safetensors": write_weights,
    "triton": write_triton,
}
QUANTIZED = ("onnx-int8", "onnx-int8-dynamic")  # which answer a little differently, and are judged by accuracy
FORMATS: Sequence[str] = tuple(WRITERS)


def onnx_answer(graph: Path) -> Answer:
    """Return what answers with a graph, on all processors."""
    import onnxruntime

    from trainer.export import INPUT

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_processors()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {INPUT: images})[0]


def torch_answer(module: Any) -> Answer:
    """Return what answers with a module of PyTorch."""
    import torch

    def answer(images: Images) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = module(torch.from_numpy(images)).numpy()
        return found

    return answer


def _write_quantized(servable: "nn.Module", source: Source, folder: Path, calibration: Images | None) -> Answer:
    whole = folder / f"whole-{GRAPH}"
    save_onnx(servable, source.data_set, whole)
    quantize(whole, folder / GRAPH, calibration)
    whole.unlink()
    return onnx_answer(folder / GRAPH)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what PyTorch's exporters say to their own authors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
