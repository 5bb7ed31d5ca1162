"""How long decisions take in a search of very many trials and slots: the real engine, samplers and schedulers.

python -m benchmarks.scale [--trials 10000] [--slots 256] [--sampler NAME] [--scheduler NAME] [--space cifar10]
[--timeout SECONDS]

Jobs are replayed in simulated time. A decision is what the engine asks for at once: which job is next, and if that is a
new configuration, which one; that there is nothing to do now is none.
"""

import argparse
import math
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import optuna

from search.engine import Engine
from search.executors.scripted import Script, ScriptedExecutor, reading
from search.jobs import build_job
from search.ledger import Ledger, MemoryLedger
from search.request import DEFAULT_SAMPLER, DEFAULT_SCHEDULER
from search.samplers import Sampler
from search.schedulers import Action, Finish, Scheduler, Situation, Wait
from search.strategies import make_strategy
from search.trials import Trial
from spaces import SearchSpace, Value, load_space
from trainer.config import JobConfig


@dataclass(slots=True)
class Timed:
    """A sampler and a scheduler, and how long they took for each decision."""

    sampler: Sampler
    scheduler: Scheduler
    seconds: list[float] = field(default_factory=list)

    def decide(self, situation: Situation) -> Action:
        """Ask the scheduler."""
        began = time.perf_counter()
        action = self.scheduler.decide(situation)
        if not isinstance(action, Wait | Finish):  # which take no time, as a rule, and would hide what the others take
            self.seconds.append(time.perf_counter() - began)
        return action

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Ask the sampler; it belongs to the decision before."""
        began = time.perf_counter()
        drawn = self.sampler.draw(trials)
        self.seconds[-1] += time.perf_counter() - began
        return drawn


def learns(rungs: Sequence[float], number: int, config: JobConfig) -> Script:
    """Curves that end somewhere below 0.95, by the learning rate and by chance."""
    rate = getattr(config.optimizer, "lr", 0.1)
    quality = 0.9 - 0.1 * abs(math.log10(rate / 0.1)) + 0.05 * float(np.random.default_rng(number).normal())
    epochs = sorted({*rungs, *map(float, range(1, math.floor(rungs[-1]) + 1))})
    accuracies = (quality * (1 - 0.5 * 0.8**epoch) for epoch in epochs)
    steps = (after - before for before, after in pairwise((0.0, *epochs)))
    return Script(
        results=tuple(
            reading(epoch, val_accuracy=accuracy, val_loss=1.0, seconds=seconds)
            for epoch, accuracy, seconds in zip(epochs, accuracies, steps, strict=True)
        )
    )


def run(
    book: Ledger, executor: ScriptedExecutor, timed: Timed, *, max_trials: int, seconds: float | None = None
) -> None:
    """Search to the end, or for as many seconds of replayed training."""
    Engine(
        book=book,
        sampler=timed,
        scheduler=timed,
        executor=executor,
        data_root=Path(),
        max_trials=max_trials,
        deadline=seconds,
        is_interrupted=lambda: False,
        watch=lambda notice: None,
        clock=lambda: executor.now,
    ).run()


def most_memory() -> float:
    """Return the most memory that this process has had, in MiB; of Linux the kernel's own figure.

    That of `getrusage` is there at least what the process had that began this one.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Run a search and print what its decisions took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=256)
    parser.add_argument("--sampler", default=DEFAULT_SAMPLER)
    parser.add_argument("--scheduler", default=DEFAULT_SCHEDULER)
    parser.add_argument("--space", default="cifar10")
    parser.add_argument("--timeout", type=float, help="seconds of replayed training, after which the search ends")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space: SearchSpace = load_space(asked.space)
    strategy = make_strategy(space, seed=0, sampler=asked.sampler, scheduler=asked.scheduler)
    timed = Timed(strategy.sampler, strategy.scheduler)
    ledger = MemoryLedger(space=space, build=partial(build_job, space, data="data", seed=0, runtime={}))
    executor = ScriptedExecutor(partial(learns, space.budget.rungs), num_slots=asked.slots)
    began = time.perf_counter()
    run(ledger, executor, timed, max_trials=asked.trials, seconds=asked.timeout)
    half, most = np.quantile(timed.seconds, (0.5, 0.95))
    memory = most_memory()
    print(
        f"{len(ledger.trials):,} trials on {asked.slots} slots, {asked.sampler} + {asked.scheduler}: "
        f"{len(timed.seconds):,} decisions, {1000 * half:.1f} ms in the median, {1000 * most:.1f} ms at the 95th "
        f"percentile, {1000 * max(timed.seconds):.0f} ms at most; {time.perf_counter() - began:.0f} s in all, "
        f"{memory:,.0f} MiB"
    )


if __name__ == "__main__":
    main()
