"""Where the time of a search's workers goes: training and evaluation, starts, files of the jobs, and the books.

    python -m benchmarks.bookkeeping [--trials 50] [--epochs 20] [--scheduler none] [--space FILE]

A real search of the handwritten digits, unless told otherwise, with real jobs, Optuna and MLflow; its trials are short,
so whatever a trial costs beside training shows. All of the time from the first order to the last word of a job is
accounted for: the seconds of all workers are what they trained and scored, what a job took to be ready, what was left
of it (checkpoints, predictions, weights), and the time in which a worker had no job. The books take the last of these,
and processor time of the driver and of the process that looks after MLflow, from the training beside it.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from search.eventlog import FILE, Record, read

STUDY = "bookkeeping"
SPACE = """
name: bookkeeping
about: Small nets on handwritten digits.
data: digits
objective: val/accuracy
budget: {{rungs: [{epochs}], trials: 50}}
parameters:
  model: {{choice: {{fastnet: {{width: {{float: [0.25, 0.5]}}}}}}}}
  optimizer: {{choice: {{sgd: {{lr: {{float: [0.01, 0.5], log: true}}}}}}}}
  training: {{batch_size: {{choice: [32, 64, 128]}}}}
"""
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds of workers, in all jobs of a search."""

    wall: float  # from the first order to the last word of a job
    workers: int
    training: float
    evaluation: float
    starting: float  # from an order to the first step
    files: float  # of a job, beside the three: what it writes and sends

    @property
    def idle(self) -> float:
        """Return the seconds in which a worker had no job."""
        return self.wall * self.workers - self.training - self.evaluation - self.starting - self.files


@dataclass(slots=True)
class Driver:
    """How much of a processor the driver and the process that looks after MLflow take, by time."""

    process: psutil.Popen
    looks: list[tuple[float, float]]  # seconds since 1970, seconds of a processor so far
    used: dict[int, float] = field(default_factory=dict)  # seconds of a processor, by process

    def watch(self) -> None:
        """Look at them until the driver ends."""
        while self.process.poll() is None:
            with suppress(psutil.Error):
                for process in (self.process, *filter(_is_tracking, self.process.children())):
                    times = process.cpu_times()
                    self.used[process.pid] = times.user + times.system
            self.looks.append((time.time(), sum(self.used.values())))
            threading.Event().wait(LOOK_SECONDS)

    def seconds_between(self, began: float, ended: float) -> float:
        """Return the seconds of a processor that it took between two times."""
        within = [used for at, used in self.looks if began <= at <= ended]
        return within[-1] - within[0]


def _is_tracking(process: psutil.Process) -> bool:
    """Say whether a child of a driver is no worker: those are forked from a server."""
    return any("multiprocessing.spawn" in word for word in process.cmdline())


def main() -> None:
    """Search, then tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--epochs", type=float, default=20.0)
    parser.add_argument("--scheduler", default="none", help="`none` trains all trials to the end")
    parser.add_argument("--space", type=Path, help="a space of your own, in place of the digits")
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        store, space = Path(place) / "store", asked.space or Path(place) / "space.yaml"
        if asked.space is None:
            space.write_text(SPACE.format(epochs=asked.epochs))
        words = ["search", "--space", str(space), "--study", STUDY, "--trials", str(asked.trials), "--no-race"]
        places = ["--no-refit", "--store", str(store), "--data-dir", str(asked.data_dir), "--json"]
        command = [sys.executable, "-m", "autoclf", *words, *places, "--scheduler", asked.scheduler]
        with psutil.Popen(command, stdout=subprocess.DEVNULL) as process:
            driver = Driver(process, [])
            watcher = threading.Thread(target=driver.watch, daemon=True)
            watcher.start()
            if process.wait():
                raise SystemExit("The search failed.")
            watcher.join()
        logs = [read(path) for path in (store / "jobs" / STUDY).glob(f"[0-9]*/{FILE}")]
    print(told(spent(logs), driver, logs))


def spent(logs: Sequence[Sequence[Record]]) -> Spent:
    """Add up what the logs of all trials tell."""
    began = [record["at"] for log in logs for record in log if record["kind"] == "ordered"]
    results = [result for log in logs for result in _results(log)]
    spans = [span for log in logs for span in _spans(log)]
    training = sum(result["epoch_seconds"] for result in results)
    evaluation = sum(result["eval_seconds"] for result in results)
    starting = sum(span.ready - span.ordered for span in spans)
    return Spent(
        wall=max(span.ended for span in spans) - min(began),
        workers=_most_at_once(spans),
        training=training,
        evaluation=evaluation,
        starting=starting,
        files=sum(span.ended - span.ready for span in spans) - training - evaluation,
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """A job, in seconds since 1970."""

    ordered: float
    ready: float
    ended: float


def _spans(log: Sequence[Record]) -> list[_Span]:
    found: list[_Span] = []
    ordered = ready = 0.0
    for record in log:
        if record["kind"] == "ordered":
            ordered = record["at"]
        if record["kind"] == "Started":
            ready = record["at"]
        if record["kind"] in ("Reached", "Failed", "Stopped"):
            found.append(_Span(ordered, ready, record["at"]))
    return found


def _results(log: Sequence[Record]) -> list[Record]:
    """Return the results of a trial; a job that goes on sends those of its checkpoint again, which count once."""
    return list({record["step"]: record for record in reversed(log) if record["kind"] == "EpochResult"}.values())


def _most_at_once(spans: Sequence[_Span]) -> int:
    steps = sorted([(span.ordered, 1) for span in spans] + [(span.ended, -1) for span in spans])
    running = most = 0
    for _, step in steps:
        running += step
        most = max(most, running)
    return most


def told(found: Spent, driver: Driver, logs: Sequence[Sequence[Record]]) -> str:
    """Return the table."""
    whole = found.wall * found.workers
    began = min(record["at"] for log in logs for record in log if record["kind"] == "ordered")
    books = driver.seconds_between(began, began + found.wall)
    rows = [
        ("training", found.training),
        ("evaluation", found.evaluation),
        ("from an order to the first step", found.starting),
        ("checkpoints, predictions, weights", found.files),
        ("without a job: decisions and books", found.idle),
        ("processor time of driver and tracking, beside all of it", books),
    ]
    lines = [f"| {name} | {seconds:.1f} | {100 * seconds / whole:.2f} % |" for name, seconds in rows]
    head = f"{len(logs)} trials, {found.workers} workers, {found.wall:.1f} s"
    return "\n".join([head, "| what | seconds of workers | share |", "|---|---|---|", *lines])


if __name__ == "__main__":
    main()
