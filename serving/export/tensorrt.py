"""What NVIDIA's tools need: whether TensorRT's parser takes a graph, the command for an engine, and Triton's folders.

Sources: the operators are those that onnx-tensorrt lists as supported for TensorRT 10.15 (docs/operators.md of
github.com/onnx/onnx-tensorrt), for opsets 9 to 24; of unsigned bytes it takes inputs and their cast alone. The layout
is that of https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_repository.html.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.promotion.package import GRAPH, Manifest

OPSETS = range(9, 25)
OPERATORS = Path(__file__).with_name("tensorrt_operators.txt")  # a name a line
OPTIMAL, LARGEST = 8, 64  # images of a batch that an engine is built for
CONFIG = """name: "{name}"
platform: "onnxruntime_onnx"
max_batch_size: {largest}
input [
  {{
    name: "{input}"
    data_type: TYPE_UINT8
    dims: [ {shape} ]
  }}
]
output [
  {{
    name: "{output}"
    data_type: TYPE_FP32
    dims: [ {num_classes} ]
    label_filename: "labels.txt"
  }}
]
dynamic_batching {{ }}
"""


def objections(graph: Path) -> list[str]:
    """Return what TensorRT's parser would not take of a graph; nothing if it takes all."""
    import onnx

    model = onnx.load(graph, load_external_data=False)
    found = [
        f"opset {opset.version} of {opset.domain or 'ONNX'}"
        for opset in model.opset_import
        if opset.domain not in ("", "ai.onnx") or opset.version not in OPSETS
    ]
    known = set(OPERATORS.read_text(encoding="ascii").split())
    found += [f"operator {name}" for name in sorted({node.op_type for node in model.graph.node} - known)]
    bytes_in = {each.name for each in model.graph.input if each.type.tensor_type.elem_type == onnx.TensorProto.UINT8}
    found += [
        f"operator {node.op_type} on bytes"
        for node in model.graph.node
        if bytes_in & set(node.input) and node.op_type not in ("Cast", "CastLike")
    ]
    return found


def trtexec(graph: Path, manifest: Manifest) -> str:
    """Return the command that builds an engine for any batch up to 64."""
    from trainer.export import INPUT

    sides = "x".join(map(str, manifest.image_shape))
    shapes = " ".join(
        f"--{kind}Shapes={INPUT}:{number}x{sides}" for kind, number in (("min", 1), ("opt", OPTIMAL), ("max", LARGEST))
    )
    return f"trtexec --onnx={graph} {shapes} --fp16 --saveEngine={graph.with_suffix('.plan')}"


def write_repository(folder: Path, manifest: Manifest, *, write: Callable[[Path], Any]) -> Path:
    """Write a model repository with one model and one version of it; return the graph's path.

    Args:
        folder: Of the repository.
        manifest: Of the model, which is named after its study.
        write: Writes the graph.
    """
    from trainer.export import INPUT, OUTPUT

    place = folder / "repository" / manifest.study
    (place / "1").mkdir(parents=True)
    write(place / "1" / GRAPH)
    config = CONFIG.format(
        name=manifest.study,
        largest=LARGEST,
        input=INPUT,
        output=OUTPUT,
        shape=", ".join(map(str, manifest.image_shape)),
        num_classes=len(manifest.class_names),
    )
    (place / "config.pbtxt").write_text(config, encoding="utf-8")
    labels = "".join(" ".join(name.split()) + "\n" for name in manifest.class_names)  # a line a class
    (place / "labels.txt").write_text(labels, encoding="utf-8")
    return place / "1" / GRAPH
