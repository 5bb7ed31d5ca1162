"""What a scheduler is asked and what it answers."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from search.trials import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a decision rests on."""

    trials: Sequence[Trial]  # by number, without gaps
    max_trials: int  # configurations in all
    seconds_left: float | None  # None where no time limit was set
    has_free_slot: bool
    seconds_given: float | None = None  # to this run of the search, when it began; None where no time limit was set
    ends_at_target: bool = False  # the search is over when something trained to the end is good enough
    is_slot_coming: bool = False  # a worker is about to leave
    own: Set[int] | None = None  # the trials that this driver's workers have; None for all that run
    num_complete_before: int = 0  # trials, when this run of the search began

    @property
    def share_begun(self) -> float:
        """Return the share of the configurations that have begun."""
        return len(self.trials) / self.max_trials if self.max_trials else 1.0

    @property
    def share_used(self) -> float:
        """Return the share of this run's time that is used; 0 where there is no limit."""
        if self.seconds_left is None or not self.seconds_given:
            return 0.0
        return 1 - self.seconds_left / self.seconds_given


@dataclass(frozen=True, slots=True)
class Start:
    """Draw a new configuration and train it to an epoch."""

    until: float


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with a paused trial."""

    number: int
    until: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Checkpoint a running trial and pause it: its slot is needed for a better one."""

    number: int


@dataclass(frozen=True, slots=True)
class Prune:
    """End a paused trial: it will not go on."""

    number: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until something happens."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The search is over; what is paused will not go on."""


Action = Start | Resume | Stop | Prune | Wait | Finish


class Scheduler(Protocol):
    """Decides which job is next.

    It keeps no state of its own: the trials tell everything, so a search that was interrupted goes on as if nothing
    had happened. It is asked again after each action that it returns, until it says `Wait` or `Finish`.
    """

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        ...
