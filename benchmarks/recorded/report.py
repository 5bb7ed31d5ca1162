"""Many searches in one table, one picture and a few sentences. Letters: S searches with different seeds."""

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.recorded.tasks import Task
from benchmarks.recorded.traces import SHARES, Trace, fully_trained, handed_over, regrets
from benchmarks.recorded.waste import own_best, wasted

READ_AT = (0.10, 0.25, 1.00)  # shares of the budget
RANDOM, OPTUNA = "random search", "Optuna"
HANDED_OVER = "regret of what is fully trained"  # at the end of the budget
OWN_BEST = "regret of its five best"  # configurations, were they all trained to their ends: the mean
NUM_RESAMPLES = 1000  # of the seeds
INTERVAL = (0.025, 0.975)
ROUNDING = 1e-9  # by which means over the same searches may differ

Runs = Mapping[tuple[str, str], Sequence[Trace]]  # by strategy and task, a trace a seed
Floats = NDArray[np.float64]
Curves = Mapping[tuple[str, str], Floats]  # by strategy and task, regrets (S, 100) at `SHARES`


def on_all_tasks(runs: Runs, tasks: Sequence[Task]) -> Runs:
    """Return the searches of the strategies that went through on every task; of others, means would mislead."""
    gaps = {strategy for strategy, _ in runs if any(not runs.get((strategy, task.name)) for task in tasks)}
    for strategy in sorted(gaps):
        sys.stderr.write(f"{strategy} has no search on some task; it is left out.\n")
    return {(strategy, name): traces for (strategy, name), traces in runs.items() if strategy not in gaps}


def curves_of(runs: Runs, tasks: Sequence[Task]) -> Curves:
    """Return the regrets of all searches."""
    by_name = {task.name: task for task in tasks}
    return {
        (strategy, name): np.stack([regrets(trace, by_name[name]) for trace in traces])
        for (strategy, name), traces in runs.items()
    }


def table(runs: Runs, curves: Curves, tasks: Sequence[Task]) -> pd.DataFrame:
    """Return a row for each strategy and task: regret (mean and quartiles), budget to match others' ends, waste."""
    rows = []
    for strategy in _strategies(curves):
        for task in tasks:
            regret = curves[strategy, task.name]
            ends = {RANDOM: RANDOM, OPTUNA: best_of_optuna(curves, tasks)}
            row = {"strategy": strategy, "task": task.name, "searches": len(regret), **_read(regret)}
            for name, other in ends.items():
                row[f"share to {name}'s end"] = _share_to_match(regret, curves.get((other, task.name)))
            rows.append(row | _spent(runs[strategy, task.name], task))
    return pd.DataFrame(rows)


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each strategy: means over tasks, medians of the budget to match the ends of others."""
    columns = {f"regret at {share:.0%}": "mean" for share in READ_AT} | {
        f"share to {RANDOM}'s end": "median",
        f"share to {OPTUNA}'s end": "median",
        HANDED_OVER: "mean",
        OWN_BEST: "mean",
        "full trainings": "mean",
        "outside top five": "mean",
        "outside best tenth": "mean",
        "outside top five then": "mean",
        "configurations": "mean",
    }
    return found.groupby("strategy", sort=False).agg(columns)


def verdict(
    found: pd.DataFrame, curves: Curves, tasks: Sequence[Task], default: str, ours: Collection[str]
) -> Sequence[str]:
    """Say in a few lines how a strategy of ours stands against all that are not ours, and what it was to reach."""
    others = [name for name in _strategies(curves) if name not in ours]
    if not others or (default, tasks[0].name) not in curves:
        return []
    means = summary(found).loc[default]
    lines = [f"{default} against {len(others)} others on {len(tasks)} tasks:"]
    for name, goal in ((RANDOM, 1 / 5), (OPTUNA, 1 / 2)):
        end = RANDOM if name == RANDOM else best_of_optuna(curves, tasks)
        share = means[f"share to {name}'s end"]
        if np.isfinite(share):
            low, high = _interval(curves, default, end, tasks)
            reached = f"- the end of {end} is reached in {share:.1%} of its budget, the median of tasks"
            lines.append(f"{reached}{_met(share <= goal, goal)}; 95 % interval over the seeds {low:.0%} to {high:.0%}")
        else:
            lines.append(f"- the end of {end or name} is not reached on half of the tasks, or was not measured")
    best = np.min([_over_tasks(curves, name, tasks) for name in others], axis=0)
    gaps = _over_tasks(curves, default, tasks) - best
    behind = f"behind at {_spans(SHARES[gaps > ROUNDING])} of the budget, by {gaps.max():.3f} at most"
    lines.append(f"- in the mean over tasks {behind if (gaps > ROUNDING).any() else 'never behind the best of them'}")
    for task in tasks:
        worst = np.max([curves[name, task.name].mean(axis=0) for name in others], axis=0)
        is_worst = curves[default, task.name].mean(axis=0) > worst + ROUNDING
        if is_worst.any():
            lines.append(f"- worst of all on {task.name} at {_spans(SHARES[is_worst])} of the budget")
    waste, then = means["outside top five"], means["outside top five then"]
    if np.isfinite(waste):
        aim = _met(waste <= 0.1, 0.1)
        lines.append(
            f"- {waste:.0%} of the full trainings are outside the search's own five best{aim}; {then:.0%} were outside "
            "the five best of what had begun when they ended"
        )
    return lines


def _met(is_met: bool, goal: float) -> str:
    return f" (at most {goal:.0%} was the aim: {'met' if is_met else 'missed'})"


def _spans(shares: Floats) -> str:
    """Return shares, in hundredths, as spans."""
    hundredths = np.round(100 * shares).astype(int).tolist()
    spans: list[list[int]] = []
    for number in hundredths:
        if spans and spans[-1][-1] == number - 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(f"{span[0]} %" if len(span) == 1 else f"{span[0]} to {span[-1]} %" for span in spans)


def best_of_optuna(curves: Curves, tasks: Sequence[Task]) -> str:
    """Return the setting of Optuna with the smallest regret at the end, in the mean over tasks; else nothing."""
    settings = [name for name in _strategies(curves) if name.startswith(OPTUNA)]
    return min(settings, key=lambda name: float(_over_tasks(curves, name, tasks)[-1]), default="")


def draw(curves: Curves, tasks: Sequence[Task], shown: Collection[str], path: Path) -> None:
    """Draw regret over the budget: a panel a task with quartiles, and the mean over tasks."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    strategies = [name for name in _strategies(curves) if name in shown]
    colors = pyplot.get_cmap("tab20")
    figure, axes = pyplot.subplots(-(-(len(tasks) + 1) // 3), 3, figsize=(13, 11), sharex=True, sharey=True)
    for place, strategy in enumerate(strategies):
        look = {"color": colors(place), "linewidth": 2.2 if place == 0 else 1.2, "label": strategy}
        look |= {"zorder": 4 if place == 0 else 3}
        for task, axis in zip(tasks, axes.flat, strict=False):
            regret = curves[strategy, task.name]
            axis.plot(SHARES, regret.mean(axis=0), **look)
            low, high = np.quantile(regret, (0.25, 0.75), axis=0)
            axis.fill_between(SHARES, low, high, color=colors(place), alpha=0.10, linewidth=0)
        axes.flat[len(tasks)].plot(SHARES, _over_tasks(curves, strategy, tasks), **look)
    for name, axis in zip([*(task.name for task in tasks), "mean over tasks"], axes.flat, strict=False):
        axis.set_title(name, fontsize=9)
    axes.flat[0].set_xscale("log")
    figure.supxlabel("share of the budget")
    figure.supylabel("regret")
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="upper center", ncol=4, fontsize=9)
    figure.tight_layout(rect=(0.02, 0.0, 1.0, 0.92))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _strategies(curves: Curves) -> Sequence[str]:
    return list(dict.fromkeys(name for name, _ in curves))


def _over_tasks(curves: Curves, strategy: str, tasks: Sequence[Task]) -> Floats:
    """Return the mean regret (100,) over tasks."""
    return np.asarray(np.mean([curves[strategy, task.name].mean(axis=0) for task in tasks], axis=0))


def _end(regret: Floats) -> float:
    """Return the mean over seeds at the end of the budget."""
    return float(regret[:, -1].mean())


def _read(regret: Floats) -> dict[str, float]:
    found: dict[str, float] = {}
    for share in READ_AT:
        column = regret[:, np.abs(SHARES - share).argmin()]
        found[f"regret at {share:.0%}"] = float(column.mean())
        for word, quantile in (("lower", 0.25), ("upper", 0.75)):
            found[f"{word} quartile at {share:.0%}"] = float(np.quantile(column, quantile))
    return found


def _share_to_match(regret: Floats, other: Floats | None) -> float:
    """Return the share of the budget at which the mean is what another's is at the end; infinite where it never is."""
    if other is None:
        return np.nan
    has_matched = regret.mean(axis=0) <= _end(other) + ROUNDING
    return float(SHARES[has_matched.argmax()]) if has_matched.any() else np.inf


def _interval(curves: Curves, strategy: str, other: str, tasks: Sequence[Task]) -> tuple[float, float]:
    """Return between what the median of tasks of `_share_to_match` lies, if both had been run with other seeds.

    Source: the percentile bootstrap of Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    rng = np.random.default_rng(0)
    pairs = [(curves[strategy, task.name], curves[other, task.name]) for task in tasks]

    def drawn(regret: Floats) -> Floats:
        return regret[rng.integers(len(regret), size=len(regret))]

    shares = [
        np.median([_share_to_match(drawn(regret), drawn(against)) for regret, against in pairs])
        for _ in range(NUM_RESAMPLES)
    ]
    low, high = np.quantile(shares, INTERVAL, method="nearest")  # some may be infinite
    return float(low), float(high)


def _spent(traces: Sequence[Trace], task: Task) -> dict[str, float]:
    waste = [found for trace in traces if (found := wasted(trace, task)) is not None]
    return {
        HANDED_OVER: float(np.mean([handed_over(trace, task) for trace in traces])),
        OWN_BEST: float(np.mean([own_best(trace, task) for trace in traces])),
        "full trainings": float(np.mean([len(fully_trained(trace, task)) for trace in traces])),
        "outside top five": _mean([found.five for found in waste]),
        "outside best tenth": _mean([found.tenth for found in waste]),
        "outside top five then": _mean([found.five_then for found in waste]),
        "configurations": float(np.mean([len(set(trace.rows)) for trace in traces])),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else np.nan
