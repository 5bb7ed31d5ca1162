"""What a worker can be told to do; torch-free, so that a driver can say it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.config import JobConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOrder:
    """Train a configuration to an epoch, from what lies in the directory."""

    config: JobConfig
    data_root: Path
    directory: Path  # of the job; holds its checkpoints and predictions
    until: float  # epochs
    limits: Mapping[str, float] = field(default_factory=dict)  # of the model's footprint, by name
    is_to_be_weighed: bool = False  # its footprint is wanted, and held against the limits
    born_at: float = field(default_factory=time.time)  # seconds since 1970; when it was handed out


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOrder:
    """Score a trained configuration on the locked test split. Only the end of a search gives this order."""

    __test__ = False  # no test case, whatever its name says

    config: JobConfig
    data_root: Path
    directory: Path  # with the checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOrder:
    """Time training steps to choose the precision, the portions of a batch and the threads of a job."""

    configs: tuple[JobConfig, ...]  # one of each model
    data_root: Path
    device: str  # or `auto`
    num_cores: int
    threads: int | None  # of a job; None asks for the best
    seconds: float | None = None  # that the search may take


Order = TrainOrder | TestOrder | MeasureOrder
