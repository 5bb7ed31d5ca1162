"""What each model, optimizer, schedule and loss that a space can name keeps: it trains, learns, goes on exactly."""

import pytest
import torch

from tests.trainer.short_jobs import (
    MODELS,
    NETWORKS,
    Splits,
    advance,
    assert_goes_on_exactly,
    fresh,
    scores,
    tiny_job,
)
from trainer.config import VARIANTS, JobConfig, Value

CHOICES = [(section, name) for section, variants in VARIANTS.items() for name in variants]
EVERY = pytest.mark.parametrize(("section", "name"), CHOICES, ids=lambda part: part)
GENTLE = {  # rates at which a tiny net learns
    "adam": 0.01,
    "adamw": 0.01,
    "lion": 0.003,
    "muon": 0.1,
    "sgd": 0.1,
    "timm": 0.01,
}


def job(splits: Splits, section: str, name: str, **more: Value) -> JobConfig:
    settings: dict[str, Value] = dict(MODELS[name]) if section == "model" else {section: name}
    if section == "optimizer":
        settings["optimizer.lr"] = GENTLE[name]
    return tiny_job(splits.data_set, {**settings, **{path.replace("__", "."): value for path, value in more.items()}})


@EVERY
def test_it_goes_on_from_a_checkpoint_to_the_last_bit(splits: Splits, section: str, name: str) -> None:
    assert_goes_on_exactly(job(splits, section, name), splits)


@pytest.mark.parametrize(("section", "name"), [choice for choice in CHOICES if choice[0] != "model"], ids=lambda p: p)
def test_it_learns(splits: Splits, section: str, name: str) -> None:
    config = job(splits, section, name, training__epochs=8.0)

    results = scores(advance(fresh(config, splits), config, splits))

    assert results[-1].train_loss < results[0].train_loss
    assert results[-1].train_accuracy > 0.4  # of four classes


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NETWORKS])
def test_a_model_without_epochs_knows_at_its_first_rung_what_it_will_ever_know(splits: Splits, name: str) -> None:
    config = job(splits, "model", name)
    state = fresh(config, splits)

    (first,) = scores(advance(state, config, splits, until=1.0))
    weights = {path: tensor.clone() for path, tensor in state.model.state_dict().items()}
    (last,) = scores(advance(state, config, splits))

    assert first.val_accuracy > 0.6  # of four classes
    assert (first.epoch, last.epoch, last.val_loss) == (1.0, 2.0, first.val_loss)
    assert all(torch.equal(tensor, weights[path]) for path, tensor in state.model.state_dict().items())
