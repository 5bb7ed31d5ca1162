"""The winner trained once more, on training and validation images together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from search_samples import DATA, Ground, new_trial, result, trial_at

from search.executors import Event, Gone
from search.notices import Notice
from search.refit import (
    MARGIN,
    MARGIN_SECONDS,
    Bench,
    Refit,
    is_for,
    kept_free,
    known_refit,
    refit,
    refit_config,
    refit_directory,
    refit_epochs,
    seconds_of,
)
from search.trials import State, Trial
from spaces import Constraints
from trainer.config import Value, job_config
from trainer.jobfiles import WEIGHTS
from trainer.orders import Order, TrainOrder
from trainer.results import Failed, JobEvent, Reached, StepResult, Stopped

WINNER = trial_at(4, {1.0: 0.5, 9.0: 0.9}, ended=State.COMPLETE)
SEEN = Reached(epoch=9.0, at=1.0, num_parameters=7, predictions="", seen_accuracy=0.97)


@dataclass(slots=True)
class Hand:
    """An executor with one worker that does what it is told to, and leaves its weights."""

    events_to_come: Sequence[JobEvent] = (SEEN,)
    orders: list[TrainOrder] = field(default_factory=list)
    stops: int = 0
    free_slots: int = 1
    num_slots: int = 1

    def start(self, _job: int, order: Order) -> None:
        assert isinstance(order, TrainOrder)
        self.orders.append(order)
        order.directory.mkdir(parents=True, exist_ok=True)
        (order.directory / WEIGHTS).touch()

    def events(self, *, timeout_seconds: float) -> Sequence[Event]:
        return [*(Event(-1, event) for event in self.events_to_come), Event(-1, Gone(0))]

    def stop(self, _job: int) -> None:
        self.stops += 1

    def close(self) -> None:
        """Nothing runs."""


@dataclass(slots=True)
class Shop:
    """All that a refit needs."""

    ground: Ground
    hand: Hand = field(default_factory=Hand)
    notices: list[Notice] = field(default_factory=list)

    def refit(self, trial: Trial = WINNER, should_stop: Callable[[], bool] = lambda: False) -> Refit | None:
        bench = Bench(
            study=self.ground.study(),
            store=self.ground.store,
            data=DATA,
            executor=self.hand,
            threads=2,
            constraints=Constraints(size_mb=1.0, latency_ms=5.0),
        )
        return refit(bench, trial, self.notices.append, should_stop)


@pytest.fixture
def shop(ground: Ground) -> Shop:
    return Shop(ground)


def with_settings(settings: Mapping[str, Value], trial: Trial = WINNER) -> Trial:
    return replace(trial, config=job_config(settings))


def test_the_winners_configuration_is_trained_on_both_splits_with_the_whole_machine(shop: Shop) -> None:
    found = shop.refit()

    (order,) = shop.hand.orders
    assert order.config.training.images == "train+val"
    assert order.config.runtime.threads == 2
    assert replace(order.config.training, images="train") == WINNER.config.training
    assert order.until == 9.0
    assert order.directory == refit_directory(shop.ground.store, shop.ground.study().name, 4)
    assert found == Refit(trial=4, epochs=9.0, num_images=1000, threads=2, seen_accuracy=0.97, is_sound=True)


def test_what_grows_with_its_images_is_held_to_the_limits(shop: Shop) -> None:
    """A forest has more nodes then; a network is what it was, and how long it takes is never twice the same."""
    shop.refit()
    shop.refit(replace(with_settings({"model": "random_forest"}), number=5))

    network, forest = shop.hand.orders
    assert (network.limits, network.is_to_be_weighed) == ({}, False)
    assert (forest.limits, forest.is_to_be_weighed) == ({"size_mb": 1.0}, True)


def test_it_is_made_once(shop: Shop) -> None:
    assert known_refit(shop.ground.study(), shop.ground.store, 4) is None

    first = shop.refit()
    second = shop.refit()

    assert len(shop.hand.orders) == 1
    assert first == second == known_refit(shop.ground.study(), shop.ground.store, 4)


def test_it_is_made_again_where_its_weights_are_gone(shop: Shop) -> None:
    shop.refit()
    (refit_directory(shop.ground.store, shop.ground.study().name, 4) / WEIGHTS).unlink()

    shop.refit()

    assert len(shop.hand.orders) == 2
    assert len(shop.ground.study().attributes["autoclf.refits"]) == 1


def test_a_network_that_does_not_know_what_it_was_trained_on_is_no_model(shop: Shop) -> None:
    shop.hand.events_to_come = [replace(SEEN, seen_accuracy=0.3)]

    found = shop.refit()

    assert found is not None
    assert not found.is_sound
    assert "30.00 %" in found.why_not


def test_a_refit_within_the_noise_of_the_validation_split_is_sound(shop: Shop) -> None:
    noisy = replace(WINNER, results=(*WINNER.results[:-1], replace(WINNER.results[-1], val_images=100)))
    shop.hand.events_to_come = [replace(SEEN, seen_accuracy=0.88)]  # the standard error is 0.03

    found = shop.refit(noisy)

    assert found is not None
    assert found.is_sound


@pytest.mark.parametrize(
    ("events", "why"),
    [([Failed(reason="nan_loss", message="The loss became nan.\nMore.", traceback="", at=1.0)], "The loss became nan."),
     ([], "its process died")],
    ids=["failed", "died"],
)  # fmt: skip
def test_a_refit_that_fails_leaves_the_trials_own_weights_as_the_model(
    shop: Shop, events: list[JobEvent], why: str
) -> None:
    shop.hand.events_to_come = events

    found = shop.refit()

    assert found is not None
    assert not found.is_sound
    assert found.why_not == why


def test_a_full_disk_is_no_verdict_and_a_loss_that_is_no_number_is(shop: Shop) -> None:
    for reason, is_verdict in (("disk_full", False), ("oom", False), ("nan_loss", True)):
        shop.hand.events_to_come = [Failed(reason=reason, message="It failed.", traceback="", at=1.0)]

        assert shop.refit() is not None
        assert (known_refit(shop.ground.study(), shop.ground.store, 4) is not None) == is_verdict


def test_one_that_is_stopped_is_gone_on_with_another_time(shop: Shop) -> None:
    shop.hand.events_to_come = [Stopped(epoch=3.0, at=1.0)]

    assert shop.refit(should_stop=lambda: True) is None
    assert shop.hand.stops == 1
    assert known_refit(shop.ground.study(), shop.ground.store, 4) is None


def test_a_death_after_the_last_word_of_a_step_is_a_death(shop: Shop) -> None:
    shop.hand.events_to_come = [StepResult(epoch=1.0, images_per_second=10.0)]

    found = shop.refit()

    assert found is not None
    assert found.why_not == "its process died"
    assert len(shop.hand.orders) == 3, "the first deaths may have been meant for another"
    assert known_refit(shop.ground.study(), shop.ground.store, 4) is None, "it is tried again another time"


def test_what_is_trained_of_a_network_does_not_change_with_more_images() -> None:
    config = job_config({"model": "timm", "model.name": "resnet18"})

    assert refit_config(config, num_train=900, threads=1).transfer.train == "head"
    assert refit_config(config, num_train=9_000, threads=1).transfer.train == "blocks"


def test_scores_decide_on_nothing_in_a_refit() -> None:
    config = job_config({"training.patience": 3, "training.keep": "best"})

    training = refit_config(config, num_train=900, threads=1).training

    assert (training.patience, training.keep) == (0, "last")


def test_it_trains_as_long_as_the_best_weights_were_trained() -> None:
    results = (result(1.0, 0.5), result(2.0, 0.8), result(3.0, 0.8))  # the last is of the kept weights
    trial = with_settings({"training.keep": "best"}, replace(WINNER, results=results))

    assert refit_epochs(trial) == 2.0
    assert refit_epochs(replace(WINNER, results=results)) == 3.0


def test_there_is_none_of_a_trial_that_was_cut_short_or_whose_schedule_needs_scores() -> None:
    assert is_for(WINNER)
    assert not is_for(replace(WINNER, state=State.PRUNED))
    assert not is_for(with_settings({"schedule": "plateau"}))


def test_time_is_kept_free_for_it_unless_that_were_more_than_a_third() -> None:
    slow = trial_at(0, {1.0: 0.5}, seconds=8.0)

    def free(trials: list[Trial], limit: float) -> float:
        return kept_free(trials, DATA, objective="val/accuracy", epochs=9.0, limit=limit)

    assert free([new_trial()], 1000.0) == 0.0
    assert free([slow], 1000.0) == pytest.approx(MARGIN * 8.0 * 9 * 1.25 + MARGIN_SECONDS)
    assert free([slow], 350.0) == 0.0, "what would not be enough is not taken from the search"


def test_more_is_kept_free_than_is_asked_for_when_the_time_has_come() -> None:
    kept = kept_free([WINNER], DATA, objective="val/accuracy", epochs=9.0, limit=1e9)

    assert kept >= seconds_of(WINNER, DATA, epochs=9.0) + MARGIN_SECONDS
