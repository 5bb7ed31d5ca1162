"""A ranked portfolio for a space: which few configurations, tried in order, do well on several data sets.

    python -m benchmarks.portfolio --space probe --data folder:A --data files:B --out DIR [--trials 40] [--splits 3]

The same configurations, the space's baselines and then others drawn by chance, are trained to the end on every data
set. The portfolio is greedy: first the one with the smallest mean regret, then always the one that lowers the mean of
the smallest regret so far most (Xu, Hoos and Leyton-Brown 2010, "Hydra"; Feurer et al. 2022, JMLR 23(261)). A regret is
what a validation score lacks to the best of the data set, in what the median lacks to it. Where data sets are few,
several splits into training and validation images stand for more. What was trained stays in the folder: the same
command again goes on.

Where drawing by chance finds little, or takes too long, search each data set first, with that folder as the store and
a limit of time, and hand the studies over by --warm-start: what they found best is tried on all data sets.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from search.store import open_store
from search.trials import State, Trial, score
from spaces import SearchSpace, Value, load_space, parse_space, read_changes, read_text, with_changes

WHOLE = ("--sampler", "random", "--scheduler", "none", "--no-race", "--no-refit")


def main() -> None:
    """Train what is missing, then print the portfolio as a space's baselines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", required=True)
    parser.add_argument("--data", action="append", required=True, help="a source; may be given again")
    parser.add_argument("--set", action="append", default=[], help="as of `autoclf search`")
    parser.add_argument("--warm-start", action="append", default=[], help="as of `autoclf search`")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--size", type=int, default=4)
    parser.add_argument("--splits", type=int, default=1, help="of each data set")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if "auto" in asked.warm_start:
        parser.error("--warm-start auto takes other studies for each data set: name the studies.")
    file = load_space(asked.space).file
    space = parse_space(with_changes(read_text(file), read_changes(asked.set), name=str(file)), file=file)
    names = {
        f"{asked.space}-{number}-{split}": (source, split)
        for number, source in enumerate(asked.data)
        for split in range(asked.splits)
    }
    for name, (source, split) in names.items():
        changes = [word for change in (*asked.set, f"data.seed={split}") for word in ("--set", change)]
        changes += [word for study in asked.warm_start for word in ("--warm-start", study)]
        command = ["search", "--space", asked.space, "--data", source, "--study", name]
        words = [*command, "--trials", str(asked.trials), "--store", str(asked.out), *WHOLE, *changes]
        subprocess.run([sys.executable, "-m", "autoclf", *words], check=True)
    studies = [open_store(asked.out).trials(name) for name in names]
    if (row := first_difference(studies)) is not None:
        parser.error(
            f"From trial {row} on the studies in {asked.out} tried different configurations. Take another --out."
        )
    found = regrets([scores_of(trials, space.objective.metric) for trials in studies])
    chosen = greedy(found, asked.size)
    print(table(found, chosen, asked.data))
    print(yaml.safe_dump([settings(space, studies[0][row]) for row in chosen], sort_keys=False))


def first_difference(studies: Sequence[Sequence[Trial]]) -> int | None:
    """Return the number of the first trial that is not of the same configuration in all studies; None if there is none.

    What is drawn by a prior, or within limits, depends on what was read.
    """
    for row, same in enumerate(zip_longest(*studies)):
        if any(trial is None or trial.params != same[0].params for trial in same):
            return row
    return None


def table(found: NDArray[np.float64], chosen: Sequence[int], sources: Sequence[str]) -> str:
    """Return the regrets of a portfolio, from all regrets (N, M): M is what there is of sources, split by split."""
    lines = ["| configuration | " + " | ".join(sources) + " | mean regret | of those so far |"]
    lines.append("|---" * (len(sources) + 3) + "|")
    for place, row in enumerate(chosen, start=1):
        by_source = found[row].reshape(len(sources), -1).mean(axis=1)
        so_far = found[chosen[:place]].min(axis=0).mean()
        texts = [f"{regret:.2f}" for regret in (*by_source, found[row].mean(), so_far)]
        lines.append(f"| {row} | {' | '.join(texts)} |")
    return "\n".join(lines)


def scores_of(trials: Sequence[Trial], objective: str) -> NDArray[np.float64]:
    """Return the last score of each trial (N,); minus infinity for those that failed."""
    return np.array(
        [score(t.results[-1], objective) if t.state is State.COMPLETE else -np.inf for t in trials], dtype=np.float64
    )


def regrets(scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return regrets (N, M) from the scores (N,) on M data sets: 0 for the best, 1 for the median, at most 2.

    What failed has 2, and no part in the median.
    """
    columns = []
    for column in scores:
        best, middle = column.max(), np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else 0.0
        columns.append((best - column) / max(best - middle, 1e-12) if np.isfinite(best) else np.full(len(column), 2.0))
    return np.minimum(np.stack(columns, axis=1), 2.0)


def greedy(found: NDArray[np.float64], size: int) -> list[int]:
    """Return the rows of a portfolio in order, from regrets (N, M); of equal ones, the better alone comes first."""
    chosen: list[int] = []
    so_far = np.full(found.shape[1], np.inf)
    while len(chosen) < min(size, len(found)):
        together = np.minimum(found, so_far).mean(axis=1)
        together[chosen] = np.inf
        row = int(np.lexsort((found.mean(axis=1), together))[0])
        chosen.append(row)
        so_far = np.minimum(so_far, found[row])
    return chosen


def settings(space: SearchSpace, trial: Trial) -> Mapping[str, Value]:
    """Return the parameters of a trial as a baseline gives them, by the paths of their settings."""
    return {param.path: trial.params[param.name] for param in space.params if param.name in trial.params}


if __name__ == "__main__":
    main()
