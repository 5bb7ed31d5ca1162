"""Traces on disk: searches take hours in all, and one that is done need not be run again."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import optuna

from benchmarks.recorded.traces import Trace

ROOT = Path(__file__).parents[2]
REPLAYED = tuple(f"benchmarks/recorded/{name}.py" for name in ("blend", "replay", "tasks", "traces"))
OURS = (  # sources that what a search of ours does depends on
    *REPLAYED,
    *(f"benchmarks/recorded/{name}.py" for name in ("ours", "views")),
    *("benchmarks/suggest.py", "search/distributions.py"),
    *("search/samplers", "search/schedulers", "search/surrogate", "search/executors/scripted.py", "spaces"),
    *("search/executors/base.py", "trainer/seeds.py"),
    *(f"search/{name}.py" for name in ("engine", "ledger", "table", "trials")),
)
OPTUNAS = (*REPLAYED, "benchmarks/recorded/optuna_runs.py", "search/distributions.py", "spaces")


def version(sources: Sequence[str]) -> str:
    """Return a name for sources, which are files and folders of this repository, as they are now, and for Optuna."""
    digest = hashlib.sha256(optuna.__version__.encode())
    for source in sources:
        place = ROOT / source
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def kept(file: Path, make: Callable[[], Trace]) -> Trace:
    """Return the trace in a file; of a search that is run now, if it is not there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"": _told(make())}))
        unfinished.rename(file)
    return read(file)[""]


def read(file: Path) -> Mapping[str, Trace]:
    """Return the traces in a file by task.

    `readings` are lists of seconds, row, epoch and score, which is None for NaN; `ends` those of places between rows.
    """
    found = {}
    for task, told in json.loads(file.read_text()).items():
        trace = found[task] = Trace(ends=told["ends"])
        for seconds, row, epoch, score in told["readings"]:
            trace.add(seconds=seconds, row=row, epoch=epoch, score=math.nan if score is None else score)
    return found


def _told(trace: Trace) -> Mapping[str, object]:
    return {"readings": list(_readings(trace)), "ends": trace.ends}


def _readings(trace: Trace) -> Iterator[tuple[float, int, int, float | None]]:
    for seconds, row, epoch, score in zip(trace.seconds, trace.rows, trace.epochs, trace.scores, strict=True):
        yield seconds, row, epoch, None if math.isnan(score) else score
