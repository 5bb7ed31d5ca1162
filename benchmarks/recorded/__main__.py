"""Compare search strategies on recorded learning curves, at equal simulated budgets.

python -m benchmarks.recorded --curves DIR [--seeds 20] [--only TEXT] [--variants] [--ours] [--rows] [--out FOLDER]

Any configuration can be trained, and goes as the rows of the table near it went, blended; with --rows only the rows
themselves can be, each once. Searches that are done lie in the folder and are not run again, unless the sources that
they depend on have changed.
"""

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import product
from pathlib import Path

import optuna
from threadpoolctl import threadpool_limits

from benchmarks.recorded import optuna_runs, ours
from benchmarks.recorded.kept import OPTUNAS, OURS, kept, version
from benchmarks.recorded.others import traces_of_others
from benchmarks.recorded.report import curves_of, draw, on_all_tasks, summary, table, verdict
from benchmarks.recorded.tasks import Task, fingerprint, load_tasks
from benchmarks.recorded.traces import Trace

OF_OPTUNA = {**optuna_runs.STRATEGIES, **optuna_runs.VARIANTS}
VARIANTS = {**ours.VARIANTS, **optuna_runs.VARIANTS}
AMONG_ROWS = "freeze-thaw + GP among rows"  # between rows it is the same as without
SOURCES = {**dict.fromkeys([*ours.STRATEGIES, *ours.VARIANTS], OURS), **dict.fromkeys(OF_OPTUNA, OPTUNAS)}
STRATEGIES: Mapping[str, Callable[[Task, int], Trace]] = {**ours.STRATEGIES, **optuna_runs.STRATEGIES, **VARIANTS}


@cache
def _tasks(folder: Path, is_continuous: bool) -> Sequence[Task]:
    return load_tasks(folder, is_continuous=is_continuous)


def _search(
    folder: Path, is_continuous: bool, places: Mapping[str, Path], strategy: str, number: int, seed: int
) -> Trace:
    task = _tasks(folder, is_continuous)[number]
    return kept(places[strategy] / f"{task.name}-{seed}.json", lambda: STRATEGIES[strategy](task, seed))


def _begin() -> None:
    """Make a process quiet, and keep it to one thread: there are as many processes as cores."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    threadpool_limits(1)


def main() -> None:
    """Run every strategy on every task with every seed; print the summary, write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=Path, required=True, help="folder of npz files")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", action="append", help="strategies whose name holds this text; may be given again")
    parser.add_argument("--variants", action="store_true", help="add other strategies of ours, which take an hour")
    parser.add_argument("--ours", action="store_true", help="leave out tools that need an environment of their own")
    parser.add_argument("--rows", action="store_true", help="train rows of the table alone, each once")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("bench-search"))
    asked = parser.parse_args()
    is_continuous = not asked.rows
    tasks = _tasks(asked.curves, is_continuous)
    asked.out.mkdir(parents=True, exist_ok=True)
    left_out = set() if asked.variants else set(VARIANTS)
    left_out |= {AMONG_ROWS} if is_continuous else set()
    wanted = [name for name in STRATEGIES if name not in left_out]
    names = [name for name in wanted if not asked.only or any(text in name for text in asked.only)]
    jobs = list(product(names, range(len(tasks)), range(asked.seeds)))
    root = asked.out / "ours" / fingerprint(tasks)
    # By what sources are now: they may change while searches run.
    places = {name: root / f"{name.replace(' ', '-')}-{version(SOURCES[name])}" for name in names}
    search = partial(_search, asked.curves, is_continuous, places)
    with ProcessPoolExecutor(asked.processes, initializer=_begin) as pool:
        traces = pool.map(search, *zip(*jobs, strict=True))
        runs: dict[tuple[str, str], list[Trace]] = defaultdict(list)
        for (name, number, _), trace in zip(jobs, traces, strict=True):
            runs[name, tasks[number].name].append(trace)
    if not asked.ours:
        runs |= traces_of_others(
            tasks, seeds=asked.seeds, out=asked.out, processes=asked.processes, only=asked.only or []
        )
    runs = on_all_tasks(runs, tasks)
    curves = curves_of(runs, tasks)
    found = table(runs, curves, tasks)
    means = summary(found)
    name = "regret" if is_continuous else "regret_rows"
    found.to_csv(asked.out / f"{name}.csv", index=False)
    means.to_csv(asked.out / f"{name}_means.csv")
    draw(curves, tasks, [name for name, _ in runs if name not in VARIANTS], asked.out / f"{name}.png")
    print(means.round(3).to_string())
    print("\n".join(verdict(found, curves, tasks, ours.DEFAULT, [*ours.STRATEGIES, *ours.VARIANTS])))
    print(f"Each task by itself: {asked.out / name}.csv; the picture: {asked.out / name}.png")


if __name__ == "__main__":
    main()
