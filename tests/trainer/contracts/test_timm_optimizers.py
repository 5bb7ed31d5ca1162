"""What each optimizer of timm keeps: it trains, learns, goes on exactly; or it says why it cannot."""

import pytest
import torch

from tests.trainer.short_jobs import (
    Splits,
    advance,
    assert_goes_on_exactly,
    fresh,
    scores,
    tiny_job,
)
from trainer.config import JobConfig, Value
from trainer.errors import ConfigError
from trainer.libraries import import_timm

NAMES = import_timm().optim.list_optimizers()
ELSEWHERE = [name for name in NAMES if name.startswith(("fused", "bnb"))]  # of other packages, for CUDA
SECOND_ORDER = [name for name in NAMES if import_timm().optim.get_optimizer_info(name).second_order]
COMPILED = [name for name in NAMES if name.startswith("kron")]
HERE = [name for name in NAMES if name not in (*ELSEWHERE, *SECOND_ORDER, *COMPILED)]


def job(splits: Splits, name: str, **more: Value) -> JobConfig:
    settings: dict[str, Value] = {"optimizer": "timm", "optimizer.name": name, **more}
    return tiny_job(splits.data_set, settings)


@pytest.mark.parametrize("name", HERE)
def test_it_goes_on_from_a_checkpoint_to_the_last_bit(splits: Splits, name: str) -> None:
    config = job(splits, name)
    before = fresh(config, splits).model.state_dict()

    whole = assert_goes_on_exactly(config, splits)

    assert any(not torch.equal(tensor, before[path]) for path, tensor in whole.model.state_dict().items())


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_one_that_needs_second_derivatives_is_refused(splits: Splits, name: str) -> None:
    with pytest.raises(ConfigError, match=f"timm's {name} needs second derivatives"):
        fresh(job(splits, name), splits)


@pytest.mark.parametrize("name", COMPILED)
def test_one_that_compiles_itself_is_refused(splits: Splits, name: str) -> None:
    with pytest.raises(ConfigError, match=f"timm's {name} compiles itself"):
        fresh(job(splits, name), splits)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_one_of_a_package_that_is_not_there_says_so(splits: Splits, name: str) -> None:
    with pytest.raises(ConfigError, match=f"timm's {name} cannot be had"):
        fresh(job(splits, name), splits)


def test_a_name_that_timm_does_not_know_is_answered_with_the_nearest(splits: Splits) -> None:
    with pytest.raises(ConfigError, match=r"timm has no optimizer 'nadamww'\. Did you mean 'nadamw'\?"):
        fresh(job(splits, "nadamww"), splits)


def test_settings_that_an_optimizer_refuses_are_told_with_its_name(splits: Splits) -> None:
    config = job(splits, "sgd", **{"optimizer.momentum": 0.0})

    with pytest.raises(ConfigError, match=r"timm's sgd cannot be had with these settings: Nesterov"):
        fresh(config, splits)


def test_it_is_given_the_momenta_that_it_knows(splits: Splits) -> None:
    settings: dict[str, Value] = {"optimizer.momentum": 0.7, "optimizer.beta2": 0.95, "optimizer.weight_decay": 0.01}

    (adam,) = fresh(job(splits, "nadamw", **settings), splits).optimizers
    (sgd,) = fresh(job(splits, "sgdw", **settings), splits).optimizers

    assert {group["betas"] for group in adam.param_groups} == {(0.7, 0.95)}
    assert {group["momentum"] for group in sgd.param_groups} == {0.7}
    assert {group["weight_decay"] for group in adam.param_groups} == {0.0, 0.01}


def test_one_by_name_learns(splits: Splits) -> None:
    config = job(splits, "nadamw", **{"optimizer.lr": 0.01, "training.epochs": 8.0})

    results = scores(advance(fresh(config, splits), config, splits))

    assert results[-1].train_accuracy > 0.4  # of four classes
