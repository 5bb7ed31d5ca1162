import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from tests.trainer.short_jobs import NETWORKS
from trainer.config import VARIANTS, Value, job_config
from trainer.models import build_model
from trainer.models.fastnet import BIAS_RATE
from trainer.optimizers import Optimizers, build_optimizers, groups_of

each_optimizer = pytest.mark.parametrize("name", list(VARIANTS["optimizer"]))
each_model = pytest.mark.parametrize("model_name", list(NETWORKS))
DECAY = 0.03


def build(name: str, model: nn.Module, settings: Mapping[str, Value] | None = None) -> Optimizers:
    chosen = job_config({"optimizer": name, **(settings or {})}).optimizer
    return build_optimizers(chosen, model, precision=torch.float32)


def small_model(name: str = "fastnet") -> nn.Module:
    return build_model(job_config(NETWORKS[name]).model, image_shape=(16, 16, 3), num_classes=4, seed=0)


def decay_of(model: nn.Module, optimizers: Optimizers) -> dict[str, float]:
    """Return the weight decay of each parameter, by its name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: group.get("weight_decay", 0.0)
        for group in groups_of(optimizers)
        for parameter in group["params"]
    }


def toy_images() -> tuple[Tensor, Tensor]:
    """16 images of noise around a pattern for each of 4 classes, with their labels."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(16) % 4
    patterns = torch.randn((4, 3, 16, 16), generator=rng)
    return patterns[labels] + 0.3 * torch.randn((16, 3, 16, 16), generator=rng), labels


def take_step(model: nn.Module, optimizers: Optimizers, images: Tensor, labels: Tensor) -> float:
    loss = nn.functional.cross_entropy(model(images), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


@each_optimizer
@each_model
def test_every_trainable_parameter_is_in_one_group(name: str, model_name: str) -> None:
    model = small_model(model_name)

    held = Counter(id(p) for group in groups_of(build(name, model)) for p in group["params"])

    assert held == Counter(id(p) for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", [name for name in VARIANTS["optimizer"] if name != "muon"])
@each_model
def test_biases_and_norms_do_not_decay(name: str, model_name: str) -> None:
    model = small_model(model_name)

    decays = decay_of(model, build(name, model, {"optimizer.weight_decay": DECAY}))

    untouched = model.no_weight_decay() if hasattr(model, "no_weight_decay") else set()  # type: ignore[operator]
    assert decays == {
        key: DECAY if parameter.ndim > 1 and key not in untouched else 0.0
        for key, parameter in model.named_parameters()
        if parameter.requires_grad
    }


@each_model
def test_muon_takes_hidden_matrices_and_they_do_not_decay(model_name: str) -> None:
    model = small_model(model_name)
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]

    muon, _ = build("muon", model)

    assert {id(p) for p in muon.param_groups[0]["params"]} == {
        id(layer.weight) for layer in layers[:-1] if layer.weight.requires_grad
    }
    assert "weight_decay" not in muon.param_groups[0]


def test_beside_muon_the_head_and_the_rest_have_rates_of_their_own() -> None:
    model = small_model("resnet18")
    settings: dict[str, Value] = {
        "optimizer.lr": 0.2,
        "optimizer.head_lr": 0.5,
        "optimizer.sgd_lr": 0.03,
        "optimizer.weight_decay": 0.006,
    }

    muon, rest, head = groups_of(build("muon", model, settings))

    assert [id(p) for p in head["params"]] == [id(p) for p in model.head.parameters()]  # type: ignore[union-attr]
    assert all(p.ndim == 1 for p in rest["params"])
    assert (rest["lr"], head["lr"], muon["lr"]) == (0.03, 0.5, 0.2)
    assert [group["lr"] * group["weight_decay"] for group in (rest, head)] == pytest.approx([0.006, 0.006])


@pytest.mark.parametrize(("name", "rate"), [("sgd", 0.2), ("muon", 0.03)])
def test_biases_of_the_fast_net_learn_faster_and_decay_as_others(name: str, rate: float) -> None:
    model = small_model("fastnet")
    settings: dict[str, Value] = {"optimizer.lr": 0.2, "optimizer.weight_decay": DECAY}
    if name == "muon":
        settings["optimizer.sgd_lr"] = rate

    groups = groups_of(build(name, model, settings))

    (biases,) = (group for group in groups if group["lr"] == BIAS_RATE * rate)
    expected = {id(p) for key, p in model.named_parameters() if key.endswith("bias") and p.requires_grad}
    assert {id(p) for p in biases["params"]} == expected
    assert groups[0]["lr"] == 0.2, "the first group has the rate that is shown"
    assert biases["lr"] * biases["weight_decay"] == pytest.approx(DECAY if name == "muon" else 0.0)


@each_optimizer
def test_every_group_knows_its_peak_rate(name: str) -> None:
    groups = groups_of(build(name, small_model()))

    assert all(group["initial_lr"] == group["lr"] > 0 for group in groups)


@each_optimizer
def test_the_loss_falls(name: str) -> None:
    model = small_model()
    optimizers = build(name, model)
    images, labels = toy_images()

    losses = [take_step(model, optimizers, images, labels) for _ in range(30)]

    assert max(losses[-5:]) < 0.95 * losses[0]


@each_optimizer
@pytest.mark.parametrize("model_name", ["fastnet", "vit"])
def test_an_optimizer_restored_takes_the_same_next_step(name: str, model_name: str) -> None:
    model = small_model(model_name)
    optimizers = build(name, model)
    images, labels = toy_images()
    for _ in range(3):
        take_step(model, optimizers, images, labels)
    other = copy.deepcopy(model)
    restored = build(name, other)
    for optimizer, saved in zip(restored, optimizers, strict=True):
        optimizer.load_state_dict(copy.deepcopy(saved.state_dict()))

    for _ in range(2):
        take_step(model, optimizers, images, labels)
        take_step(other, restored, images, labels)

    pairs = zip(model.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def sgd(weight: float, grads: list[float], decay: float) -> float:
    """SGD with Nesterov momentum, coupled decay: Sutskever et al. 2013, as torch writes it."""
    momentum = 0.0
    for grad in grads:
        pulled = grad + decay * weight
        momentum = 0.8 * momentum + pulled
        weight -= 0.05 * (pulled + 0.8 * momentum)
    return weight


def adam(weight: float, grads: list[float], decay: float) -> float:
    """Kingma and Ba 2014, arXiv:1412.6980, Algorithm 1, with an L2 penalty."""
    first = second = 0.0
    for step, grad in enumerate(grads, start=1):
        pulled = grad + decay * weight
        first = 0.8 * first + 0.2 * pulled
        second = 0.95 * second + 0.05 * pulled**2
        weight -= 0.05 * first / (1 - 0.8**step) / (math.sqrt(second / (1 - 0.95**step)) + 1e-8)
    return weight


def adamw(weight: float, grads: list[float], decay: float) -> float:
    """Loshchilov and Hutter 2017, arXiv:1711.05101, Algorithm 2."""
    first = second = 0.0
    for step, grad in enumerate(grads, start=1):
        weight *= 1 - 0.05 * decay
        first = 0.8 * first + 0.2 * grad
        second = 0.95 * second + 0.05 * grad**2
        weight -= 0.05 * first / (1 - 0.8**step) / (math.sqrt(second / (1 - 0.95**step)) + 1e-8)
    return weight


def lion(weight: float, grads: list[float], decay: float) -> float:
    """Chen et al. 2023, arXiv:2302.06675, Program 1."""
    momentum = 0.0
    for grad in grads:
        weight *= 1 - 0.05 * decay
        weight -= 0.05 * math.copysign(1, 0.8 * momentum + 0.2 * grad)
        momentum = 0.95 * momentum + 0.05 * grad
    return weight


BETAS: Mapping[str, Value] = {"optimizer.beta1": 0.8, "optimizer.beta2": 0.95}


@pytest.mark.parametrize(
    ("name", "settings", "reference"),
    [
        ("sgd", {"optimizer.momentum": 0.8}, sgd),
        ("adam", BETAS, adam),
        ("adamw", BETAS, adamw),
        ("lion", BETAS, lion),
    ],
)
def test_an_optimizer_steps_as_its_source_says(
    name: str, settings: dict[str, Value], reference: Callable[[float, list[float], float], float]
) -> None:
    grads = [0.5, -0.3, 0.9, 0.1, -1.2, 0.4]
    layer = nn.Linear(1, 1)  # its weight decays, its bias does not
    nn.init.constant_(layer.weight, 2.0)
    nn.init.constant_(layer.bias, 2.0)
    (optimizer,) = build(name, layer, {"optimizer.lr": 0.05, "optimizer.weight_decay": 0.1, **settings})

    for grad in grads:
        layer.weight.grad, layer.bias.grad = torch.tensor([[grad]]), torch.tensor([grad])
        optimizer.step()

    assert layer.weight.item() == pytest.approx(reference(2.0, grads, 0.1), rel=1e-5)
    assert layer.bias.item() == pytest.approx(reference(2.0, grads, 0.0), rel=1e-5)


@pytest.mark.parametrize(("name", "setting"), [("sgd", "optimizer.momentum"), ("muon", "optimizer.sgd_momentum")])
def test_momentum_may_be_nothing(name: str, setting: str) -> None:
    model = small_model()
    images, labels = toy_images()

    take_step(model, build(name, model, {setting: 0.0}), images, labels)


def test_muons_own_momentum_may_be_nothing() -> None:
    model = small_model()
    images, labels = toy_images()
    optimizers = build("muon", model, {"optimizer.momentum": 0.0})

    losses = [take_step(model, optimizers, images, labels) for _ in range(10)]

    assert losses[-1] < losses[0]
