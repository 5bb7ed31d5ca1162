"""Exports answer as the model does, or are not written; what is written is complete and tells what it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import onnx
import onnxruntime
import pytest

from autoclf.commands import export as command_module
from search.errors import RefusedError, StudyError
from search.promotion.package import EXTRA, GRAPH, Manifest, PackageError, check_files, read_manifest
from serving.export import export as module
from serving.export import tensorrt
from serving.export.checks import pictures_of
from serving.export.export import default_folder, export
from serving.export.formats import FORMATS, QUANTIZED, Answer, Images
from serving.export.source import Source
from serving.predictor import load_predictor
from tests.trainer.job_desk import Desk
from tests.trainer.short_jobs import MODELS, NETWORKS, prepare_stripes, tiny_job
from trainer.config import Value
from trainer.data import DataSet
from trainer.export import load_together
from trainer.jobfiles import WEIGHTS

LONG = {"training.epochs": 6.0, "training.batch_size": 8}  # until answers are more than chance


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return prepare_stripes(tmp_path_factory.mktemp("stripes"), num_images=240)


def trained(data_set: DataSet, place: Path, settings: Mapping[str, Value]) -> Source:
    """Train a small network, and return it as a source."""
    config = tiny_job(data_set, settings)
    desk = Desk(data_set, place / "job", config)
    desk.train(config.training.epochs)
    manifest = Manifest(
        class_names=data_set.class_names,
        image_shape=data_set.image_shape,
        resizing="the centre square",
        temperature=1.5,
        images="train",
        study="stripes",
        trials={"7": 1},
        data=data_set.fingerprint,
        test_split="",
        accuracy=(0.9, 0.8, 1.0),
        judged_on="validation",
        num_judged=48,
        config=config.fingerprint,
        versions={},
        files={},
    )
    return Source(
        name="stripes:7", networks=[(config, desk.directory / WEIGHTS, 1)], data_set=data_set, manifest=manifest
    )


@pytest.fixture(scope="module")
def source(stripes: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Source:
    settings = {"model": "fastnet", "model.width": 0.25, "scoring.tta": "flip_shift", **LONG}
    return trained(stripes, tmp_path_factory.mktemp("source"), settings)


def wanted(source: Source, images: Images) -> np.ndarray:
    import torch

    servable = load_together(source.networks, source.data_set, temperature=source.manifest.temperature)
    with torch.inference_mode():
        found: np.ndarray = servable(torch.from_numpy(images)).numpy()
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_written_whole_and_answers_alike(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.chdir(tmp_path)  # where some libraries leave what they need no longer
    done = export(source, format=format, out=tmp_path / "out", tolerance=0.05)

    manifest = read_manifest(tmp_path / "out")
    check_files(tmp_path / "out", manifest)
    assert {*manifest.files, f"{EXTRA}/manifest.json"} == set(done.files)
    assert all((tmp_path / "out" / name).is_file() for name in done.files)
    assert done.comparison.num_images == len(pictures_of(source.data_set).labels)
    assert done.comparison.agreement > (0.9 if format in QUANTIZED else 0.999)
    assert done.comparison.difference < (0.3 if format in QUANTIZED else 1e-5)
    page = (tmp_path / "out" / EXTRA / "README.md").read_text()
    assert page.startswith(f"# stripes:7 as {format}")
    assert f"| {format} |" in page
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "nothing unfinished is left"


@pytest.mark.parametrize("format", ["onnx", "onnx-int8"])
def test_an_export_to_onnx_is_a_package_that_predicts(source: Source, tmp_path: Path, format: str) -> None:
    export(source, format=format, out=tmp_path / "out", tolerance=0.05)

    predictor = load_predictor(tmp_path / "out", name="out")

    images = pictures_of(source.data_set).checked
    assert (predictor.probabilities(images).argmax(1) == wanted(source, images).argmax(1)).mean() > 0.9
    assert predictor.manifest.judged_on == "validation"


def test_whole_numbers_take_a_third_of_the_room(stripes: DataSet, tmp_path: Path) -> None:
    wide = trained(stripes, tmp_path, {"model": "fastnet", "model.width": 0.5})
    export(wide, format="onnx", out=tmp_path / "whole")
    done = export(wide, format="onnx-int8", out=tmp_path / "int8", tolerance=1.0)

    assert (tmp_path / "int8" / GRAPH).stat().st_size < (tmp_path / "whole" / GRAPH).stat().st_size / 3
    assert done.trtexec is None, "its unsigned activations are none that TensorRT takes"
    kinds = {node.op_type for node in onnx.load(tmp_path / "int8" / GRAPH).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds


def test_calibration_images_are_not_those_that_are_checked(stripes: DataSet) -> None:
    pictures = pictures_of(stripes)

    seen = {image.tobytes() for image in pictures.calibration}
    assert len(seen) == len(pictures.calibration)
    assert not seen & {image.tobytes() for image in pictures.checked}
    assert len(pictures.calibration) + len(pictures.checked) == stripes.num_val


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_exported_to_onnx_that_tensorrt_takes(stripes: DataSet, tmp_path: Path, name: str) -> None:
    found = trained(stripes, tmp_path, MODELS[name])

    done = export(found, format="onnx", out=tmp_path / "out")

    assert done.comparison.difference < 1e-4
    if name in NETWORKS:
        assert not done.objections
        assert done.trtexec is not None
        assert "--minShapes=images:1x16x16x3" in done.trtexec


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("format", QUANTIZED)
def test_every_network_can_be_quantized(stripes: DataSet, tmp_path: Path, name: str, format: str) -> None:
    found = trained(stripes, tmp_path, NETWORKS[name])

    done = export(found, format=format, out=tmp_path / "out", tolerance=1.0)

    assert done.comparison.difference < 1
    session = onnxruntime.InferenceSession(tmp_path / "out" / GRAPH)
    (sums,) = session.run(None, {"images": pictures_of(stripes).checked[:5]})
    np.testing.assert_allclose(sums.sum(axis=1), 1, rtol=1e-5)


def wrong(by: float) -> Answer:
    """Return what answers otherwise than any model."""

    def answer(images: Images) -> np.ndarray:
        return np.full((len(images), 4), by, dtype=np.float32)

    return answer


@pytest.mark.parametrize(
    ("format", "by", "told"),
    [
        ("onnx", 0.25, "answers otherwise than the model"),
        ("onnx-int8", 0.25, "points of accuracy, and 1 are allowed"),
        ("onnx", float("nan"), "no number"),
        ("onnx-int8", float("nan"), "no number"),
    ],
)
def test_f32_an_export_that_answers_otherwise_is_not_written(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, by: float, told: str
) -> None:
    def write(servable: object, source: Source, folder: Path, calibration: Images) -> Answer:
        (folder / GRAPH).write_bytes(b"broken")
        return wrong(by)

    monkeypatch.setattr(module, "WRITERS", {format: write})

    with pytest.raises(RefusedError, match=told) as refused:
        export(source, format=format, out=tmp_path / "out")

    assert "labels agree on" in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_the_command_knows_all_formats() -> None:
    kinds, _ = get_args(get_type_hints(command_module.export, include_extras=True)["format"])

    assert get_args(kinds) == tuple(FORMATS)


def test_what_is_there_is_not_written_over(source: Source, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    with pytest.raises(StudyError, match="There is something at"):
        export(source, format="onnx", out=tmp_path / "out")


def test_an_export_without_a_graph_does_not_predict(source: Source, tmp_path: Path) -> None:
    export(source, format="safetensors", out=tmp_path / "out")

    with pytest.raises(PackageError, match="it was exported in another format"):
        load_predictor(tmp_path / "out", name="out")


def test_a_repository_for_triton_has_its_layout(source: Source, tmp_path: Path) -> None:
    export(source, format="triton", out=tmp_path / "out")

    place = tmp_path / "out" / "repository" / "stripes"
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()) == [
        f"1/{GRAPH}", "config.pbtxt", "labels.txt",
    ]  # fmt: skip
    text = (place / "config.pbtxt").read_text()
    assert text.count("{") == text.count("}")
    for line in ('platform: "onnxruntime_onnx"', "dims: [ 16, 16, 3 ]", "dims: [ 4 ]", "dynamic_batching"):
        assert line in text
    assert (place / "labels.txt").read_text().splitlines() == list(source.data_set.class_names)
    (graph_input,) = onnx.load(place / "1" / GRAPH).graph.input
    assert graph_input.type.tensor_type.shape.dim[0].dim_param, "any number of images"


def test_what_tensorrt_does_not_take_is_named(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Unique", ["turned"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "odd",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 4, 4, 3])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, ["m"])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)]), tmp_path / "odd.onnx")

    assert tensorrt.objections(tmp_path / "odd.onnx") == [
        "opset 8 of ONNX", "operator Unique", "operator Transpose on bytes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "folder"), [("pets@champion", "pets-champion-onnx"), ("pets:7", "pets-7-onnx"), ("a/b/", "a-b-onnx")]
)
def test_the_folder_is_named_after_the_model(name: str, folder: str) -> None:
    assert default_folder(name, "onnx") == Path(folder)
