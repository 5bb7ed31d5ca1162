"""What the engine asks of a tracking store."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from search.trials import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """What the tracking store is told of a data set."""

    name: str  # as the user wrote it, such as `digits`
    fingerprint: str
    num_classes: int
    image_shape: tuple[int, int, int]  # H, W, C
    num_images: Mapping[str, int]  # by split
    skipped: tuple[str, ...] = ()  # files that were left out, with the reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCard:
    """How the run of a study looks now."""

    name: str
    status: str  # RUNNING, FINISHED, KILLED or FAILED, as MLflow has it
    data: DataCard
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)  # artifacts, by file name
    at: float = field(
        default_factory=time.time, compare=False
    )  # seconds since 1970; of several looks the last one counts
    files: tuple[tuple[Trial, Path], ...] = ()  # artifacts of trials, such as the weights of the best


class Tracker(Protocol):
    """Shows trials and their study.

    It is told how things look now, not what happened, so that telling it twice, or once more after a crash, changes
    nothing. It never raises and never makes the search wait.
    """

    def show(self, trial: Trial) -> None:
        """Make the trial's run look like this, soon."""
        ...

    def show_study(self, card: StudyCard) -> None:
        """Make the study's run look like this, soon."""
        ...


class Runs(Protocol):
    """The runs of a study as a store has them; every call may raise what the store, a network and a disk raise."""

    def show(self, trial: Trial) -> None:
        """Make the trial's run look like this, all but its files."""
        ...

    def needs_files(self, trial: Trial) -> bool:
        """Say whether `show_files` has something to do."""
        ...

    def show_files(self, trial: Trial) -> None:
        """Draw the trial's figures and upload them."""
        ...

    def show_study(self, card: StudyCard) -> None:
        """Make the study's run look like this."""
        ...

    def addresses(self, number: int | None) -> dict[str, str]:
        """Return the ids under which the experiment, the study and a trial are found."""
        ...


class TrackingError(Exception):
    """What went wrong with a tracking store, in words."""


def in_words(error: Exception) -> str:
    """Return what was raised in one line."""
    lines = str(error).splitlines() or [""]
    return lines[0] if isinstance(error, TrackingError) else f"{type(error).__name__}: {lines[0]}"
