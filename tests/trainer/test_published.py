"""Networks of timm and torchvision by name; published weights from files only."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainer.short_jobs import fresh, open_splits, prepare_stripes, tiny_job
from trainer.config import job_config
from trainer.data import DataSet
from trainer.errors import ConfigError
from trainer.models import build_model, input_moments
from trainer.settings import FastNet, Timm, TorchVision
from trainer.step import take_step

IMAGE = (32, 32, 3)


def built(settings: Timm | TorchVision, *, seed: int = 0, channels: int = 3, num_classes: int = 5) -> nn.Module:
    return build_model(settings, image_shape=(32, 32, channels), num_classes=num_classes, seed=seed)


def saved(model: nn.Module, path: Path) -> str:
    torch.save(model.state_dict(), path)
    return f"file:{path}"


def data_set(channels: int = 3) -> DataSet:
    return DataSet(
        root=Path(),
        source="",
        fingerprint="",
        class_names=("a", "b"),
        image_shape=(32, 32, channels),
        num_train=4,
        num_val=2,
        num_test=2,
        mean=(0.1,) * channels,
        std=(0.2,) * channels,
    )


@pytest.mark.parametrize(
    "settings",
    [
        Timm(name="test_resnet"),
        Timm(name="test_vit"),
        TorchVision(name="squeezenet1_1"),
        TorchVision(name="mnasnet0_5"),
    ],
    ids=lambda settings: settings.name,
)
def test_a_network_is_built_for_the_images_and_the_classes(settings: Timm | TorchVision) -> None:
    assert built(settings).eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (
        built(Timm(name="test_resnet"), seed=seed).state_dict()["conv1.0.weight"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("kind", [Timm, TorchVision])
def test_weights_of_a_file_are_all_but_the_head(kind: type[Timm | TorchVision], tmp_path: Path) -> None:
    name = "test_resnet" if kind is Timm else "squeezenet1_1"
    donor = built(kind(name=name), seed=7, num_classes=1000)

    model = built(kind(name=name, weights=saved(donor, tmp_path / "a.pth")), num_classes=5)

    other = [n for n, tensor in model.state_dict().items() if not _equal(tensor, donor.state_dict()[n])]
    assert {n.rpartition(".")[0] for n in other} <= {"fc", "classifier.1"}
    assert len(other) <= 2
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 5)


@pytest.mark.parametrize(("kind", "name"), [(Timm, "test_resnet"), (Timm, "test_vit"), (TorchVision, "resnet18")])
def test_a_new_head_on_learnt_weights_begins_at_zero(kind: type[Timm | TorchVision], name: str, tmp_path: Path) -> None:
    weights = saved(built(kind(name=name), seed=7, num_classes=1000), tmp_path / "a.pth")

    model = built(kind(name=name, weights=weights), num_classes=5)
    images = torch.randn(2, 3, 32, 32)

    assert torch.equal(model.eval()(images), torch.zeros(2, 5))
    assert built(kind(name=name)).eval()(images).abs().max() > 0, "a network from scratch begins as it is drawn"


def test_a_head_for_as_many_classes_is_loaded(tmp_path: Path) -> None:
    for kind, name in ((Timm, "test_resnet"), (TorchVision, "resnet18")):
        donor = built(kind(name=name), seed=7, num_classes=1000)

        model = built(kind(name=name, weights=saved(donor, tmp_path / f"{name}.pth")), num_classes=1000)

        assert all(_equal(tensor, donor.state_dict()[n]) for n, tensor in model.state_dict().items())


def test_a_head_behind_which_zero_would_be_dead_is_drawn(tmp_path: Path) -> None:
    """SqueezeNet cuts its logits off below zero: from zero nothing would ever be learnt."""
    weights = saved(built(TorchVision(name="squeezenet1_1"), seed=7, num_classes=1000), tmp_path / "a.pth")

    model = built(TorchVision(name="squeezenet1_1", weights=weights), num_classes=5)

    assert model.get_submodule("classifier.1").weight.abs().max() > 0


def _equal(left: torch.Tensor, right: torch.Tensor) -> bool:
    return left.shape == right.shape and torch.equal(left, right)


def test_where_a_checkpoint_follows_no_weights_are_needed() -> None:
    settings = Timm(name="test_resnet", weights="file:/nowhere.pth")

    build_model(settings, image_shape=IMAGE, num_classes=2, seed=0, with_weights=False)


def test_grey_images_take_the_folded_weights_of_timm(tmp_path: Path) -> None:
    donor = built(Timm(name="test_resnet"), num_classes=1000)

    model = built(Timm(name="test_resnet", weights=saved(donor, tmp_path / "a.pth")), channels=1)

    folded = donor.state_dict()["conv1.0.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(model.state_dict()["conv1.0.weight"], folded)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (Timm(name="resnet81"), "timm has no network 'resnet81'. Did you mean"),
        (Timm(name="hf-hub:someone/something"), "timm has no network"),
        (TorchVision(name="resnet81"), "torchvision has no network 'resnet81'. Did you mean"),
        (TorchVision(name="fcn_resnet50"), "torchvision has no network 'fcn_resnet50'"),
        (TorchVision(name="resnet18", dropout=0.5), "has no layer for `model.dropout`"),
        (Timm(name="test_resnet", weights="file:/nowhere.pth"), "there is no file '/nowhere.pth'"),
        (Timm(name="test_resnet", weights="/nowhere.pth"), "must be file:PATH"),
        (TorchVision(name="resnet18", weights="file:"), "must be file:PATH"),
    ],
)
def test_what_cannot_be_built_is_refused_in_words(settings: Timm | TorchVision, wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted):
        built(settings)


@pytest.mark.parametrize("kind", [Timm, TorchVision])
def test_weights_of_another_network_are_refused(kind: type[Timm | TorchVision], tmp_path: Path) -> None:
    donor = built(TorchVision(name="mnasnet0_5"))
    name = "test_resnet" if kind is Timm else "squeezenet1_1"

    with pytest.raises(ConfigError, match=r"can't be loaded into|do not fit"):
        built(kind(name=name, weights=saved(donor, tmp_path / "a.pth")))


@pytest.mark.parametrize("kind", [Timm, TorchVision])
def test_a_file_that_would_run_code_is_refused(kind: type[Timm | TorchVision], tmp_path: Path) -> None:
    name = "test_resnet" if kind is Timm else "squeezenet1_1"
    torch.save({"conv1.0.weight": np.random.default_rng}, tmp_path / "evil.pth")

    with pytest.raises(ConfigError, match="can't be loaded into"):
        built(kind(name=name, weights=f"file:{tmp_path}/evil.pth"))


def test_torchvision_sees_grey_images_as_rgb(tmp_path: Path) -> None:
    donor = saved(built(TorchVision(name="squeezenet1_1"), num_classes=1000), tmp_path / "a.pth")
    grey, rgb = (built(TorchVision(name="squeezenet1_1", weights=donor), channels=n).eval() for n in (1, 3))
    images = torch.rand(2, 1, 32, 32)

    torch.testing.assert_close(grey(images), rgb(images.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "vit_b_16"])
def test_torchvision_takes_images_of_any_channels(name: str, channels: int) -> None:
    side = 224 if name == "vit_b_16" else 32  # the one size that it takes
    model = build_model(TorchVision(name=name), image_shape=(side, side, channels), num_classes=5, seed=0).eval()

    assert model(torch.rand(1, channels, side, side)).shape == (1, 5)


@pytest.mark.parametrize("kind", [Timm, TorchVision])
def test_without_a_network_the_way_with_a_file_is_told(
    kind: type[Timm | TorchVision], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_network)

    with pytest.raises(ConfigError, match=r"can't be had:.* --set model\.weights=file:PATH"):
        built(kind(name="resnet18", pretrained=True))


def _no_network(*_: object, **__: object) -> None:
    raise OSError("no route to host")


def test_pixels_are_normalised_as_the_weights_were_trained() -> None:
    imagenet = (0.485, 0.456, 0.406)

    assert input_moments(Timm(name="resnet18", pretrained=True), data_set()).mean == imagenet
    assert input_moments(TorchVision(name="resnet18", weights="file:a"), data_set()).mean == imagenet
    grey = input_moments(Timm(name="resnet18", pretrained=True), data_set(channels=1)).mean
    assert grey == pytest.approx((sum(imagenet) / 3,))


@pytest.mark.parametrize("settings", [FastNet(), Timm(name="resnet18"), TorchVision(name="resnet18")])
def test_without_weights_pixels_are_normalised_by_the_training_images(settings: object) -> None:
    assert input_moments(settings, data_set()).mean == (0.1, 0.1, 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("kind", [Timm, TorchVision])
def test_the_job_decides_how_much_is_dropped(kind: type[Timm | TorchVision], share: float) -> None:
    model = built(kind(name="test_efficientnet" if kind is Timm else "mnasnet0_5", dropout=share)).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    images = torch.rand(4, 3, 32, 32)

    assert torch.equal(model(images), model(images)) == (share == 0.0)


def test_a_job_names_its_network() -> None:
    config = job_config({"model": "timm", "model.name": "test_vit", "model.dropout": 0.1})

    assert config.model == Timm(name="test_vit", dropout=0.1)


def test_learnt_averages_of_batch_norms_are_kept_and_not_begun_anew(tmp_path: Path) -> None:
    donor = built(Timm(name="test_resnet"), num_classes=1000)
    donor.get_buffer("conv1.1.running_mean").fill_(100.0)
    values = {"model": "timm", "model.name": "test_resnet", "model.weights": saved(donor, tmp_path / "a.pth")}
    splits = open_splits(prepare_stripes(tmp_path / "data"))
    state = fresh(tiny_job(splits.data_set, values), splits)

    take_step(state, tiny_job(splits.data_set, values), splits.train, torch.arange(8))

    mean = state.model.get_buffer("conv1.1.running_mean")
    assert (mean > 85).all(), "a tenth of the way to the first batch's, and not there at once"
