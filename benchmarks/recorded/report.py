"""Many searches in one table and one picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.recorded.tasks import Task
from benchmarks.recorded.traces import SHARES, Trace, fully_trained, regrets, wasted

READ_AT = (0.10, 0.25, 1.00)  # shares of the budget
RANDOM = "random search"

Runs = Mapping[tuple[str, str], Sequence[Trace]]  # by strategy and task, a trace a seed


def table(runs: Runs, tasks: Sequence[Task]) -> pd.DataFrame:
    """Return a row for each strategy and task: regret (mean and quartiles), budget to match random search, waste."""
    ends = {task.name: _mean_end(runs, task) for task in tasks}
    return pd.DataFrame([_row(runs, strategy, task, ends[task.name]) for strategy, task in _pairs(runs, tasks)])


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each strategy: means over tasks, medians of the budget to match random search."""
    columns = {f"regret at {share:.0%}": "mean" for share in READ_AT} | {
        "share to random's end": "median",
        "full trainings": "mean",
        "outside top five": "mean",
        "configurations": "mean",
    }
    return found.groupby("strategy", sort=False).agg(columns)


def draw(runs: Runs, tasks: Sequence[Task], path: Path) -> None:
    """Draw regret over the budget: a panel a task with quartiles, and the mean over tasks."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    strategies = list(dict.fromkeys(name for name, _ in runs))
    figure, axes = pyplot.subplots(-(-(len(tasks) + 1) // 3), 3, figsize=(13, 11), sharex=True, sharey=True)
    for task, axis in zip(tasks, axes.flat, strict=False):
        for strategy in strategies:
            curves = _curves(runs, strategy, task)
            (line,) = axis.plot(SHARES, curves.mean(axis=0), label=strategy)
            low, high = np.quantile(curves, (0.25, 0.75), axis=0)
            axis.fill_between(SHARES, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
        axis.set_title(task.name, fontsize=9)
    last = axes.flat[len(tasks)]
    for strategy in strategies:
        means = [_curves(runs, strategy, task).mean(axis=0) for task in tasks]
        last.plot(SHARES, np.mean(means, axis=0), label=strategy)
    last.set_title("mean over tasks", fontsize=9)
    axes.flat[0].set_xscale("log")
    figure.supxlabel("share of the budget")
    figure.supylabel("regret")
    figure.legend(*last.get_legend_handles_labels(), loc="upper center", ncol=3, fontsize=9)
    figure.tight_layout(rect=(0.02, 0.0, 1.0, 0.93))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _pairs(runs: Runs, tasks: Sequence[Task]) -> Sequence[tuple[str, Task]]:
    strategies = dict.fromkeys(name for name, _ in runs)
    return [(strategy, task) for strategy in strategies for task in tasks]


def _curves(runs: Runs, strategy: str, task: Task) -> NDArray[np.float64]:
    return np.stack([regrets(trace, task) for trace in runs[strategy, task.name]])


def _mean_end(runs: Runs, task: Task) -> float:
    """Return what random search comes to, in the mean; 0 where it was not run."""
    return float(_curves(runs, RANDOM, task)[:, -1].mean()) if (RANDOM, task.name) in runs else 0.0


def _row(runs: Runs, strategy: str, task: Task, random_end: float) -> dict[str, object]:
    traces = runs[strategy, task.name]
    curves = _curves(runs, strategy, task)
    row: dict[str, object] = {"strategy": strategy, "task": task.name, "searches": len(traces)}
    for share in READ_AT:
        column = curves[:, np.abs(SHARES - share).argmin()]
        row[f"regret at {share:.0%}"] = column.mean()
        row[f"lower quartile at {share:.0%}"], row[f"upper quartile at {share:.0%}"] = np.quantile(column, (0.25, 0.75))
    has_matched = curves.mean(axis=0) <= random_end
    row["share to random's end"] = SHARES[has_matched.argmax()] if has_matched.any() else np.inf
    row["full trainings"] = np.mean([len(fully_trained(trace, task)) for trace in traces])
    shares = [share for trace in traces if (share := wasted(trace, task)) is not None]
    row["outside top five"] = np.mean(shares) if shares else np.nan
    row["configurations"] = np.mean([len(set(trace.rows)) for trace in traces])
    return row
