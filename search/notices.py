"""What a search tells whoever watches it: the live display, and the lines of `--json`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from search.trials import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that happened, with the trial as it is afterwards."""

    kind: str  # preparing, measured, search, started, progress, epoch, paused, complete, pruned, failed, died, ...
    trial: Trial | None = None
    values: Mapping[str, Any] = field(default_factory=dict)  # that JSON can hold
    at: float = field(default_factory=time.time)  # seconds since 1970

    def record(self) -> dict[str, Any]:
        """Return the notice as one JSON object."""
        number = {} if self.trial is None else {"trial": self.trial.number}
        return {"event": self.kind, "at": self.at, **number, **self.values}


Watch = Callable[[Notice], None]
