"""Packages whose graph is made by hand: a class's logit is the mean of the pixels times its weight."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from search.promotion.package import EXTRA, GRAPH, Manifest, digests, write_manifest

CLASSES = ("dark", "bright")
SHAPE = (8, 8, 3)
WEIGHTS = (-6.0, 6.0)


def make_package(
    folder: Path,
    *,
    class_names: Sequence[str] = CLASSES,
    shape: tuple[int, int, int] = SHAPE,
    weights: Sequence[float] = WEIGHTS,
    **named: Any,
) -> Path:
    """Write a package; `named` are other arguments of `graph_of`."""
    (folder / EXTRA).mkdir(parents=True)
    (folder / EXTRA / "README.md").write_text("# by hand\n")
    onnx.save(graph_of(shape, weights, **named), folder / GRAPH)
    seal(folder, class_names=class_names, shape=shape)
    return folder


def seal(folder: Path, *, class_names: Sequence[str] = CLASSES, shape: tuple[int, int, int] = SHAPE) -> None:
    """Write the manifest of a folder as it is."""
    names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.name != "manifest.json"]
    files = [name for name in names if (folder / name).is_file()]
    write_manifest(
        folder,
        Manifest(
            class_names=tuple(class_names),
            image_shape=shape,
            resizing="the centre square",
            temperature=1.0,
            images="train",
            study="pets",
            trials={"3": 1},
            data="d" * 16,
            test_split="t" * 64,
            accuracy=(0.9, 0.85, 0.95),
            judged_on="test",
            num_judged=200,
            config="c" * 16,
            versions={"autoclf": "0.1.0"},
            files=digests(folder, files),
        ),
    )


def graph_of(
    shape: tuple[int, int, int],
    weights: Sequence[float],
    *,
    input_name: str = "images",
    output_name: str = "probabilities",
    input_type: int = TensorProto.UINT8,
    last: str = "Softmax",
    slow: Mapping[int, int] | None = None,
) -> onnx.ModelProto:
    """Return a graph: the mean brightness, from -0.5 to 0.5, times weights (K,), through `last`.

    Where the first number of an image is a key of `slow`, its batch goes through a loop so many times.
    """
    num = len(weights)
    constants = {
        "scale": np.float32(1 / 255),
        "half": np.float32(0.5),
        "weights": np.array([weights], dtype=np.float32),
        "axes": np.array([1, 2, 3], dtype=np.int64),
        "row": np.array([-1, 1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Cast", [input_name], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["unit"]),
        helper.make_node("Sub", ["unit", "half"], ["centred" if not slow else "quick"]),
        helper.make_node("Reshape", ["centred", "row"], ["column"]),
        helper.make_node("MatMul", ["column", "weights"], ["logits"]),
        helper.make_node(last, ["logits"], [output_name]),
    ]
    if slow:
        nodes[4:4] = _loop(slow, input_name, constants)
    graph = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info(input_name, input_type, ["n", *shape])],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["n", num])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _loop(slow: Mapping[int, int], input_name: str, constants: dict[str, Any]) -> list[onnx.NodeProto]:
    """Return what adds nothing to `quick`, many times where an image begins with a key of `slow`."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["goes_on"]), helper.make_node("Identity", ["carried"], ["passed"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("passed", TensorProto.FLOAT, None),
        ],
    )
    turns = np.zeros(256, dtype=np.int64)
    for value, number in slow.items():
        turns[value] = number
    constants |= {"turns_of": turns, "yes": np.array(True), "pixel_axes": np.array([1, 2, 3], dtype=np.int64)}
    constants |= {"zeros3": np.zeros(3, dtype=np.int64), "ones3": np.ones(3, dtype=np.int64)}
    return [
        helper.make_node("Slice", [input_name, "zeros3", "ones3", "pixel_axes"], ["pixels"]),
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.INT64),
        helper.make_node("Gather", ["turns_of", "numbers"], ["each"]),
        helper.make_node("ReduceMax", ["each"], ["turns"], keepdims=0),
        helper.make_node("Loop", ["turns", "yes", "quick"], ["centred"], body=body),
    ]
