"""A package answers, or it is refused before anything relies on it; names begin with the number of a bad input."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from search.promotion.package import EXTRA, GRAPH, MANIFEST, PackageError, digest_of
from serving.predictor import load_predictor
from tests.serving.packages import SHAPE, make_package, seal


def test_it_answers_with_probabilities_for_any_number_of_images(tmp_path: Path) -> None:
    predictor = load_predictor(make_package(tmp_path), name="pets@champion")
    images = np.random.default_rng(0).integers(0, 256, (130, *SHAPE)).astype(np.uint8)
    images[0], images[-1] = 0, 255

    found = predictor.probabilities(images)

    assert found.shape == (130, 2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found[0], [1 / (1 + np.exp(-6)), 1 / (1 + np.exp(6))], rtol=1e-4)
    assert found[-1].argmax() == 1
    np.testing.assert_allclose(predictor.probabilities(images, portion=7), found, rtol=1e-5)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 8, 8, 1), np.uint8), np.zeros((0, *SHAPE), np.uint8), np.zeros((1, *SHAPE), np.float32)]
)
def test_other_arrays_are_refused(tmp_path: Path, images: np.ndarray) -> None:
    predictor = load_predictor(make_package(tmp_path), name="pets@champion")

    with pytest.raises(ValueError, match="takes uint8 images of shape"):
        predictor.probabilities(images)


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Return what writes a graph's bytes anew, and a manifest that agrees."""

    def write(folder: Path) -> None:
        (folder / GRAPH).write_bytes(change((folder / GRAPH).read_bytes()))
        seal(folder)

    return write


def with_manifest(**values: object) -> Callable[[Path], None]:
    """Return what changes the manifest alone."""

    def write(folder: Path) -> None:
        path = folder / EXTRA / MANIFEST
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return write


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "61 truncated": (rewritten(lambda content: content[:-40]), "can't be loaded"),
    "61 empty": (rewritten(lambda content: b""), "can't be loaded"),
    "61 junk": (rewritten(lambda content: b"\x80junk" * 50), "can't be loaded"),
    "63 no manifest": (lambda folder: (folder / EXTRA / MANIFEST).unlink(), "holds no package"),
    "63 flipped bit": (lambda folder: (folder / GRAPH).write_bytes(b"x"), "is not what it was"),
    "63 newer layout": (with_manifest(schema=99), "another version"),
    "63 gigantic images": (with_manifest(image_shape=[10**6, 10**6, 3]), "no shape of images"),
    "63 outside": (with_manifest(files={GRAPH: "0" * 64, "../secret": "0" * 64}), "is not what it was|outside"),
    "64 another number of classes": (with_manifest(class_names=["a", "b", "c"]), "3 classes"),
}


@pytest.mark.parametrize(("spoil", "told"), BROKEN.values(), ids=BROKEN)
def test_a_package_that_is_not_sound_is_refused(tmp_path: Path, spoil: Callable[[Path], None], told: str) -> None:
    spoil(make_package(tmp_path / "package"))

    with pytest.raises(PackageError, match=told):
        load_predictor(tmp_path / "package", name="pets@champion")


GRAPHS: dict[str, tuple[dict[str, object], str]] = {
    "62 input's name": ({"input_name": "x"}, "takes"),
    "62 output's name": ({"output_name": "y"}, "gives"),
    "62 input's type": ({"input_type": TensorProto.FLOAT}, "does not run"),
    "62 no such operator": ({"last": "Nonsense"}, "can't be loaded"),
    "62 logits": ({"last": "Identity"}, "no probabilities"),
    "65 weights that are no numbers": ({"weights": (float("nan"), 1.0)}, "no probabilities"),
    "65 infinite weights": ({"weights": (float("inf"), 1.0)}, "no probabilities"),
}


@pytest.mark.parametrize(("wrong", "told"), GRAPHS.values(), ids=GRAPHS)
def test_a_graph_that_is_no_classifier_is_refused(tmp_path: Path, wrong: dict[str, object], told: str) -> None:
    make_package(tmp_path / "package", **wrong)  # type: ignore[arg-type]

    with pytest.raises(PackageError, match=told):
        load_predictor(tmp_path / "package", name="pets@champion")


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "weights.bin"])
def test_60_weights_outside_the_graph_are_refused(tmp_path: Path, place: str) -> None:
    folder = make_package(tmp_path / "package")
    (tmp_path / "secret").write_bytes(b"\0" * 8)
    (folder / "weights.bin").write_bytes(b"\0" * 8)
    model = onnx.load(folder / GRAPH)
    tensor = next(each for each in model.graph.initializer if each.name == "weights")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    (folder / GRAPH).write_bytes(model.SerializeToString())
    seal(folder)

    with pytest.raises(PackageError, match="in other files"):
        load_predictor(folder, name="pets@champion")


def test_67_a_graph_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_package(tmp_path / "package")
    monkeypatch.setattr("serving.predictor.LARGEST_GRAPH", 100)

    with pytest.raises(PackageError, match="the most that is loaded"):
        load_predictor(folder, name="pets@champion")


def test_a_link_out_of_the_package_is_refused(tmp_path: Path) -> None:
    folder = make_package(tmp_path / "package")
    (tmp_path / "graph").write_bytes((folder / GRAPH).read_bytes())
    (folder / GRAPH).unlink()
    (folder / GRAPH).symlink_to(tmp_path / "graph")
    assert digest_of(folder / GRAPH)

    with pytest.raises(PackageError, match="outside the package"):
        load_predictor(folder, name="pets@champion")
