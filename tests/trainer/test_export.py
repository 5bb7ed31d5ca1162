from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from tests.trainer.short_jobs import MODELS, advance, fresh, open_splits, tiny_job
from trainer.config import JobConfig, Value
from trainer.data import DataSet
from trainer.evaluate import predict
from trainer.export import INPUT, OUTPUT, Servable, export_onnx, load_servable
from trainer.job import save_weights
from trainer.state import TrainState, scored_model

Pixels = NDArray[np.uint8]


def trained(data_set: DataSet, settings: Mapping[str, Value]) -> tuple[JobConfig, TrainState]:
    """Train for two steps, so that weights and running statistics are not those of the beginning."""
    splits = open_splits(data_set)
    config = tiny_job(data_set, {**settings, "training.epochs": 10.0})
    state = fresh(config, splits)
    advance(state, config, splits, until=2 / (data_set.num_train // 16))
    return config, state


def noise(data_set: DataSet, num_images: int) -> Pixels:
    shape = (num_images, *data_set.image_shape)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def run_onnx(path: Path) -> Callable[[Pixels], NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: Pixels) -> NDArray[np.float32]:
        (found,) = session.run([OUTPUT], {INPUT: images})
        probabilities: NDArray[np.float32] = found
        return probabilities

    return run


def test_weights_saved_and_loaded_give_the_same_model(stripes: DataSet, tmp_path: Path) -> None:
    config, state = trained(stripes, {"training.ema": 0.5})
    model = scored_model(state).eval()

    save_weights(tmp_path / "weights.safetensors", model)
    servable = load_servable(config, stripes, tmp_path / "weights.safetensors")

    saved = safetensors.torch.load_file(tmp_path / "weights.safetensors")
    assert saved.keys() == model.state_dict().keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in model.state_dict().items())
    assert all(torch.equal(saved[name], tensor) for name, tensor in servable.model.state_dict().items())
    assert not servable.training


def test_a_servable_classifier_takes_bytes_and_gives_the_probabilities_of_evaluation(
    stripes: DataSet, tmp_path: Path
) -> None:
    config, state = trained(stripes, {})
    splits = open_splits(stripes)
    save_weights(tmp_path / "weights.safetensors", state.model)
    logits = predict(state.model, splits.val, portion=50, precision=torch.float32)

    with torch.inference_mode():
        found = load_servable(config, stripes, tmp_path / "weights.safetensors")(splits.val.pixels)

    torch.testing.assert_close(found, logits.softmax(1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.sum(1), torch.ones(len(found)))


def check_export(data_set: DataSet, settings: Mapping[str, Value], path: Path) -> None:
    """Export a model, and compare what ONNX Runtime makes of it with what torch does."""
    _, state = trained(data_set, settings)
    servable = Servable(scored_model(state), data_set.moments).eval()

    export_onnx(servable, data_set, path)

    assert [file.name for file in path.parent.iterdir()] == [path.name], "the weights are inside"
    run: Callable[[Pixels], Any] = run_onnx(path)
    flat = np.zeros((1, *data_set.image_shape), np.uint8)
    for images in (*(noise(data_set, num_images) for num_images in (1, 2, 7)), flat, flat + 255):
        with torch.inference_mode():
            expected = servable(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(run(images), expected, rtol=1e-4, atol=1e-5)


def test_an_exported_model_gives_the_same_probabilities(digits: DataSet, tmp_path: Path) -> None:
    check_export(digits, {}, tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.thorough
def test_any_exported_model_gives_the_same_probabilities(stripes: DataSet, tmp_path: Path, name: str) -> None:
    check_export(stripes, MODELS[name], tmp_path / "model.onnx")
