import pytest
import torch
from torch import nn

from tests.trainer.short_jobs import (
    Splits,
    advance,
    fresh,
    reopened,
    tensors_of,
    tiny_job,
)
from trainer.config import Value
from trainer.errors import ConfigError
from trainer.models import build_model
from trainer.settings import Timm, TorchVision, Transfer, what_is_trained
from trainer.transfer import freeze, row_of, shares_of

NAMES = [
    Timm(name="test_resnet"),
    Timm(name="test_efficientnet"),
    Timm(name="test_vit"),
    TorchVision(name="mnasnet0_5"),
]
NETWORKS = pytest.mark.parametrize("settings", NAMES, ids=lambda settings: settings.name)


def built(settings: Timm | TorchVision) -> nn.Module:
    return build_model(settings, image_shape=(32, 32, 3), num_classes=4, seed=0)


def job(weights: str, **transfer: Value) -> dict[str, Value]:
    settings: dict[str, Value] = {f"transfer.{name}": value for name, value in transfer.items()}
    return {"model": "timm", "model.name": "test_resnet", "model.weights": weights, **settings}


@NETWORKS
def test_the_row_of_blocks_holds_every_parameter_once_and_ends_with_the_head(settings: Timm | TorchVision) -> None:
    model = built(settings)

    row = row_of(model)

    assert sorted(name for names in row for name in names) == sorted(name for name, _ in model.named_parameters())
    assert {model.get_parameter(name).shape[0] for name in row[-1]} == {4}
    assert len(row) > 3


@pytest.mark.parametrize(
    ("train", "num_train", "expected"),
    [
        ("auto", 999, "head"),
        ("auto", 1000, "blocks"),
        ("auto", 10_000, "all"),
        ("all", 5, "all"),
        ("head", 9**9, "head"),
    ],
)
def test_the_number_of_images_decides_unless_the_user_does(train: str, num_train: int, expected: str) -> None:
    assert what_is_trained(Transfer(train=train), num_train) == expected  # type: ignore[arg-type]


@NETWORKS
@pytest.mark.parametrize(("train", "num_trained"), [("head", 1), ("blocks", 3), ("all", None)])
def test_what_is_not_trained_is_frozen_with_its_statistics(
    settings: Timm | TorchVision, train: str, num_trained: int | None
) -> None:
    model = built(settings)
    row = row_of(model)

    freeze(model, shares_of(model, Transfer(train=train, blocks=2), num_train=1))  # type: ignore[arg-type]

    expected = {name for names in row[-(num_trained or len(row)) :] for name in names}
    assert {name for name, p in model.named_parameters() if p.requires_grad} == expected
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.training == any(n.startswith(f"{name}.") for n in expected)


def test_norms_may_be_frozen_while_all_is_trained() -> None:
    model = built(Timm(name="test_resnet"))

    freeze(model, shares_of(model, Transfer(train="all", freeze_norms=True), num_train=1))

    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_rates_fall_from_the_head_to_the_images() -> None:
    model = built(Timm(name="test_vit"))
    row = row_of(model)

    shares = shares_of(model, Transfer(train="all", layer_decay=0.5, head_lr=10.0), num_train=1).by_name

    by_block = [{shares[name] for name in names} for names in row]
    assert by_block[-1] == {10.0}
    assert by_block[:-1] == [{0.5 ** (len(row) - 1 - place)} for place in range(len(row) - 1)]


def test_more_blocks_than_there_are_is_refused() -> None:
    model = built(Timm(name="test_resnet"))

    with pytest.raises(ConfigError, match=r"`transfer.blocks` is 99; this network has \d+ beside its head"):
        shares_of(model, Transfer(train="blocks", blocks=99), num_train=1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon", "lion"])
@pytest.mark.parametrize("train", ["head", "blocks"])
def test_only_what_is_trained_moves(optimizer: str, train: str, splits: Splits, weights: str) -> None:
    config = tiny_job(splits.data_set, {**job(weights, train=train, blocks=1), "optimizer": optimizer})
    state = fresh(config, splits)
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}

    advance(state, config, splits, until=1)

    trained = {name for name, p in state.model.named_parameters() if p.requires_grad}
    moved = {name for name, tensor in state.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert trained <= moved
    assert {name for name in moved - trained if name in dict(state.model.named_parameters())} == set()
    if train == "head":
        assert moved == trained, "no running statistics either, though the model was scored in between"


def test_shares_reach_the_optimizer(splits: Splits, weights: str) -> None:
    config = tiny_job(
        splits.data_set, {**job(weights, train="all", layer_decay=0.5), "optimizer": "adamw", "optimizer.lr": 0.01}
    )
    state = fresh(config, splits)

    rates = {id(p): group["initial_lr"] for o in state.optimizers for group in o.param_groups for p in group["params"]}

    row = row_of(state.model)
    for place, names in enumerate(row):
        expected = 0.01 * 0.5 ** (len(row) - 1 - place)
        assert all(rates[id(state.model.get_parameter(name))] == pytest.approx(expected) for name in names)


def test_a_frozen_job_goes_on_as_if_nothing_had_been(splits: Splits, weights: str) -> None:
    config = tiny_job(splits.data_set, job(weights, train="blocks", blocks=1, layer_decay=0.7))
    whole, first = fresh(config, splits), fresh(config, splits)
    advance(whole, config, splits, until=2)

    advance(first, config, splits, until=1)
    second = reopened(first, config, splits)
    advance(second, config, splits, until=2)

    for name, tensor in tensors_of(whole).items():
        assert torch.equal(tensor, tensors_of(second)[name]), name


def test_a_network_from_scratch_takes_no_notice(splits: Splits) -> None:
    values: dict[str, Value] = {"model": "timm", "model.name": "test_resnet", "transfer.train": "head"}

    state = fresh(tiny_job(splits.data_set, values), splits)

    assert all(parameter.requires_grad for parameter in state.model.parameters())


def test_what_waits_is_trained_from_its_share_of_training_on(splits: Splits, weights: str) -> None:
    config = tiny_job(splits.data_set, job(weights, train="all", unfreeze_at=0.5))
    state = fresh(config, splits)
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    head = set(row_of(state.model)[-1])

    advance(state, config, splits, until=1.0)
    halfway = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    advance(state, config, splits)

    changed = {name for name, tensor in halfway.items() if not torch.equal(tensor, before[name])}
    assert changed == head
    after = state.model.state_dict()
    assert {name for name in after if not torch.equal(after[name], halfway[name])} > head


def test_what_waits_goes_on_from_a_checkpoint_to_the_last_bit(splits: Splits, weights: str) -> None:
    config = tiny_job(splits.data_set, job(weights, train="all", unfreeze_at=0.5))
    whole, part = fresh(config, splits), fresh(config, splits)
    advance(whole, config, splits)

    advance(part, config, splits, until=0.75)
    resumed = reopened(part, config, splits)
    advance(resumed, config, splits)

    expected = tensors_of(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors_of(resumed).items())
