"""What a user asks of a search."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from search.executors.base import Cluster
from spaces import SearchSpace

DEFAULT_SAMPLER = "mixed"
DEFAULT_SCHEDULER = "freeze-thaw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One search, as asked for; the study remembers what it was made with."""

    space: SearchSpace
    space_text: str  # the file, kept with the study
    study: str  # name
    source: str  # of the data, such as `digits` or `folder:DIR`
    max_trials: int  # configurations in all, those of earlier runs included
    timeout_seconds: float | None  # from now
    store: Path
    storage: str | None  # URL of the study database; None for the store's own
    tracking_uri: str | None  # of MLflow; None for the store's own
    workers: int | None  # jobs at once; None asks for a measurement
    device: str  # or `auto`
    seed: int
    data_dir: Path  # where data sets lie or are downloaded to
    cache: Path  # where decoded data sets lie
    sampler: str = DEFAULT_SAMPLER
    scheduler: str = DEFAULT_SCHEDULER
    warm_start: tuple[str, ...] = ()  # earlier studies of the store whose best is tried first, or `auto`
    target: float | None = None  # of the objective: a trial that comes so far ends this run
    patience_trials: int | None = None  # configurations in a row without a better one, after which none begins
    patience_seconds: float | None = None  # without a better one, after which none begins
    cluster: Cluster | None = None  # of Ray, where jobs run; None for processes of this machine
    disk_bytes: float | None = None  # that checkpoints may take; None for half of what is free
    races: bool = False  # the best few over further seeds, at the end
    refits: bool = False  # the winner, at the end, on training and validation images
    reads_test: bool = True  # at the end, for the winner
    on_bad_image: Literal["fail", "skip"] | None = None  # None leaves it to the space
    tensorboard: Path | None = None  # directory for event files; None writes none
