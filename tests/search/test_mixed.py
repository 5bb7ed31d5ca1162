"""Several samplers in turn."""

from collections.abc import Sequence
from dataclasses import dataclass

from search_samples import new_trial

from search.samplers.mixed import ALONE, Mixed
from search.samplers.tpe import STARTUP_TRIALS
from search.trials import Trial
from spaces import Value


@dataclass(frozen=True)
class Always:
    """Draws the same whatever has been tried."""

    name: str

    def draw(self, _: Sequence[Trial]) -> dict[str, Value]:
        return {"optimizer": self.name}


def test_the_last_sampler_draws_what_tpe_would_draw_by_chance_and_then_each_draws_in_turn() -> None:
    trials = [new_trial(number) for number in range(ALONE + 4)]
    mixed = Mixed((Always("tpe"), Always("gp")))

    drawn = [mixed.draw(trials[:number])["optimizer"] for number in range(ALONE + 4)]

    assert ALONE == STARTUP_TRIALS
    assert drawn == ["gp"] * ALONE + ["tpe", "gp", "tpe", "gp"]
