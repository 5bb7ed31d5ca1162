import copy
import random
import re
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.trainer.short_jobs import MODELS, NETWORKS, run_python
from trainer.config import VARIANTS, Value, job_config
from trainer.errors import ConfigError
from trainer.models import build_model, initialise_from_data
from trainer.settings import Model

each_model = pytest.mark.parametrize("name", list(VARIANTS["model"]))
each_network = pytest.mark.parametrize("name", list(NETWORKS))


def settings_of(values: Mapping[str, Value]) -> Model:
    return job_config(values).model


def build(name: str, *, side: int = 16, channels: int = 3, num_classes: int = 4, seed: int = 0) -> nn.Module:
    shape = (side, side, channels)
    return build_model(settings_of(MODELS[name]), image_shape=shape, num_classes=num_classes, seed=seed)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_there_is_a_small_model_of_every_kind() -> None:
    assert list(MODELS) == list(VARIANTS["model"])


@pytest.mark.parametrize(("channels", "num_classes"), [(1, 10), (3, 2)])
@pytest.mark.parametrize("side", [8, 28, 32, 64])
@each_model
def test_a_model_gives_logits_for_every_image(name: str, side: int, channels: int, num_classes: int) -> None:
    model = build(name, side=side, channels=channels, num_classes=num_classes).eval()

    with torch.inference_mode():
        logits = model(noise(2, channels, side, side))

    assert logits.shape == (2, num_classes)
    assert logits.isfinite().all()


def test_attention_is_that_which_a_device_has_a_fast_way_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        nn.functional,
        "scaled_dot_product_attention",
        lambda q, k, v, **_: calls.append(q.shape) or v,  # type: ignore[func-returns-value]
    )

    build("vit").eval()(noise(1, 3, 16, 16))

    assert len(calls) == MODELS["vit"]["model.depth"]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_fastnet_of_any_depth_gives_logits(depth: int) -> None:
    settings = settings_of({"model.width": 0.1, "model.depth": depth})
    model = build_model(settings, image_shape=(16, 16, 3), num_classes=4, seed=0)

    assert model(noise(2, 3, 16, 16)).shape == (2, 4)


@each_model
def test_equal_seeds_give_equal_weights(name: str) -> None:
    first, second = build(name, seed=5).state_dict(), build(name, seed=5).state_dict()

    assert all(torch.equal(first[key], second[key]) for key in first)


@each_network
def test_other_seeds_give_other_weights(name: str) -> None:
    first, second = build(name, seed=5).state_dict(), build(name, seed=6).state_dict()

    assert any(not torch.equal(first[key], second[key]) for key in first)


@each_model
def test_building_a_model_leaves_the_global_generators_as_they_were(name: str) -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state(legacy=False)
    python_before = random.getstate()

    build(name)

    assert torch.equal(torch.get_rng_state(), torch_before)
    assert str(np.random.get_state(legacy=False)) == str(numpy_before)
    assert random.getstate() == python_before


@each_model
def test_the_global_generator_has_no_say_in_the_weights(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = build(name).state_dict()
        torch.manual_seed(2)
        second = build(name).state_dict()

    assert all(torch.equal(first[key], second[key]) for key in first)


@each_network
def test_gradients_reach_every_trainable_parameter(name: str) -> None:
    model = build(name)

    nn.functional.cross_entropy(model(noise(8, 3, 16, 16)), torch.arange(8) % 4).backward()  # type: ignore[no-untyped-call]

    unreached = [
        key
        for key, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert unreached == []


@each_model
def test_only_batch_norm_tells_training_from_evaluation(name: str) -> None:
    model = build(name)
    images = noise(4, 3, 16, 16)
    with torch.inference_mode():
        evaluated = model.eval()(images)

        model.train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

        assert torch.equal(model(images), evaluated)


@each_model
def test_images_of_a_batch_do_not_see_each_other_in_evaluation(name: str) -> None:
    model = build(name).eval()
    images = noise(5, 3, 16, 16)

    with torch.inference_mode():
        together, alone = model(images), torch.cat([model(image[None]) for image in images])

    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@each_model
def test_channels_last_gives_the_same_logits(name: str) -> None:
    model = build(name).eval()
    images = noise(2, 3, 16, 16)

    with torch.inference_mode():
        plain = model(images)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        last = model(images.contiguous(memory_format=torch.channels_last))

    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "fastnet"])
def test_most_models_take_nothing_from_the_data(name: str) -> None:
    model = build(name)
    before = copy.deepcopy(model.state_dict())

    initialise_from_data(model, lambda: [noise(8, 3, 16, 16)])

    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("values", "shape", "message"),
    [
        pytest.param(
            {},
            (28, 32, 3),
            "Models take square images, these are 28 x 32. Set `data.image_size`.",
            id="oblong images",
        ),
        pytest.param(
            {"model": "convnext", "model.patch": 4},
            (28, 28, 3),
            "A ConvNeXt with `model.patch` 4 needs images of at least 32 pixels, these have 28. "
            "Set `data.image_size` to 32 or more, or take a smaller patch.",
            id="images that four halvings use up",
        ),
        pytest.param(
            {"model": "vit", "model.patch": 5},
            (32, 32, 3),
            "`model.patch` 5 does not divide the image size 32.",
            id="patches that do not tile the image",
        ),
        pytest.param(
            {"model": "vit", "model.dim": 200},
            (32, 32, 3),
            "`model.dim` 200 does not divide into 3 heads.",
            id="features that the heads cannot share",
        ),
        pytest.param(
            {"model": "cnn", "model.blocks": 3},
            (7, 7, 3),
            "A cnn with `model.blocks` 3 needs images of at least 8 pixels, these have 7. "
            "Set `data.image_size` to 8 or more, or take fewer blocks.",
            id="images that three halvings use up",
        ),
    ],
)
def test_a_model_that_cannot_take_the_images_says_what_would(
    values: dict[str, Value], shape: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build_model(settings_of(values), image_shape=shape, num_classes=4, seed=0)


@pytest.mark.parametrize(
    "patch",
    [1, 2, 3, 4],
)
def test_a_convnext_takes_the_smallest_image_that_it_says(patch: int) -> None:
    settings = settings_of({"model": "convnext", "model.patch": patch})
    side = 32 if patch == 2 else 8 * patch
    model = build_model(settings, image_shape=(side, side, 3), num_classes=4, seed=0).eval()

    assert model(noise(1, 3, side, side)).shape == (1, 4)


@pytest.mark.parametrize(
    ("name", "num_parameters"),
    [
        pytest.param("resnet18", 11_173_962, id="ResNet-18 of the CIFAR repositories"),
        pytest.param("resnet34", 21_282_122, id="ResNet-34 of the CIFAR repositories"),
        pytest.param("resnet50", 23_520_842, id="ResNet-50 of the CIFAR repositories"),
        pytest.param("wide_resnet", 2_748_890, id="WRN-16-4 of its paper: 2.7 M"),
        pytest.param("resnet9", 6_573_120, id="ResNet-9 of the DAWNBench entries"),
    ],
)
def test_a_model_has_as_many_parameters_as_its_source(name: str, num_parameters: int) -> None:
    model = build_model(settings_of({"model": name}), image_shape=(32, 32, 3), num_classes=10, seed=0)

    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters


TRAIN_AT_THE_NARROWEST = """
import sys, tempfile
from dataclasses import fields
from pathlib import Path
from tests.trainer.short_jobs import advance, fresh, open_splits, prepare_stripes, tiny_job
from trainer.config import VARIANTS
width = next(item for item in fields(VARIANTS["model"][sys.argv[1]]) if item.name == "width")
with tempfile.TemporaryDirectory() as place:
    splits = open_splits(prepare_stripes(Path(place)))
    narrowest = width.type(width.metadata["range"].low)
    config = tiny_job(splits.data_set, {"model": sys.argv[1], "model.width": narrowest, "training.epochs": 3})
    advance(fresh(config, splits), config, splits)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "fastnet",
        "resnet9",
        "resnet18",
        "resnet34",
        "resnet50",
        "wide_resnet",
        "lenet5",
        "cnn",
    ],
)
def test_the_narrowest_model_trains(name: str) -> None:
    done = run_python(TRAIN_AT_THE_NARROWEST, name)

    assert done.returncode == 0, done.stderr
