"""The trials of a study as a table, best first."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from search.race import Standing
from search.trials import OBJECTIVES, State, Trial, merit
from trainer.config import flat, model_name, variant_name
from trainer.settings import Classical

COLUMNS = {
    "rank": "rank",
    "trial": "trial",
    "state": "state",
    "val_accuracy": "val accuracy",
    "val_top5_accuracy": "val top-5",
    "val_balanced_accuracy": "val balanced",
    "val_f1_macro": "val F1",
    "val_loss": "val loss",
    "epochs": "epochs",
    "model": "model",
    "optimizer": "optimizer",
    "lr": "lr",
    "batch_size": "batch",
    "parameters": "parameters",
    "flops": "FLOPs",
    "latency_ms": "ms/image",
    "size_mb": "MB",
    "train_seconds": "train s",
    "reason": "reason",
}
SPREAD = "_spread"  # of a metric over seeds: the end of that column's name
SHARES = ("val_accuracy", "val_top5_accuracy", "val_balanced_accuracy", "val_f1_macro", "test_accuracy")


def leaderboard(trials: Sequence[Trial], objective: str, *, diagnoses: Mapping[int, str] | None = None) -> pd.DataFrame:
    """Return one row a trial: complete ones by score, then the others by how far they came and by score.

    Args:
        trials: Of one study.
        objective: Of the study.
        diagnoses: What the curves of each trial say, by number, for a column more; None leaves it out.
    """
    rows = [_row(trial) for trial in sorted(trials, key=lambda trial: _order(trial, objective))]
    for rank, row in enumerate(rows, start=1):
        row["rank"] = rank
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table if diagnoses is None else table.assign(diagnosis=table["trial"].map(diagnoses))


def finalists_table(standing: Standing, objective: str) -> pd.DataFrame:
    """Return one row a finalist of a race, the winner first: its mean over seeds, and how far they spread.

    Args:
        standing: At the end.
        objective: Of the study; the mean is of it, the spread is the standard deviation of a sample.
    """
    name = objective.replace("/", "_")
    rows = [
        {
            "trial": number,
            name: OBJECTIVES[objective] * fmean(standing.scores[number]),
            f"{name}{SPREAD}": stdev(standing.scores[number]) if len(standing.scores[number]) > 1 else None,
            "seeds": len(standing.scores[number]),
            "reason": standing.left.get(number, ""),
        }
        for number in (*standing.racing, *standing.left)
    ]
    return pd.DataFrame(rows, columns=["trial", name, f"{name}{SPREAD}", "seeds", "reason"])


def to_markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown."""
    shown = formatted(table)
    lines = ["| " + " | ".join(shown.columns) + " |", "|" + " --- |" * len(shown.columns)]
    lines += ["| " + " | ".join(row) + " |" for row in shown.itertuples(index=False)]
    return "\n".join(lines) + "\n"


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of texts as a person reads them, under readable headings."""
    shown = pd.DataFrame({name: table[name].map(_format(name)) for name in table.columns}, dtype=object)
    return shown.rename(columns=lambda name: "spread" if name.endswith(SPREAD) else COLUMNS.get(name, name))


def _order(trial: Trial, objective: str) -> tuple[bool, bool, float, float, float, int]:
    """Sort key: complete before failed, deep before shallow, good before bad, early before late."""
    last = trial.results[-1] if trial.results else None
    value, sureness = merit(last, objective) if last else (0.0, 0.0)
    return (
        trial.state is not State.COMPLETE,
        trial.is_hopeless,
        -last.epoch if last else 0.0,
        -value,
        -sureness,
        trial.number,
    )


def _row(trial: Trial) -> dict[str, object]:
    last = trial.results[-1] if trial.results else None
    costs = trial.footprint.costs() if trial.footprint else {}
    settings, is_classical = flat(trial.config), isinstance(trial.config.model, Classical)
    return {
        "trial": trial.number,
        "state": trial.state.value,
        "val_accuracy": last.val_accuracy if last else None,
        "val_top5_accuracy": last.val_top5_accuracy if last else None,
        "val_balanced_accuracy": last.val_balanced_accuracy if last else None,
        "val_f1_macro": last.val_f1_macro if last else None,
        "val_loss": last.val_loss if last else None,
        "epochs": last.epoch if last else 0.0,
        "model": model_name(trial.config.model),
        "optimizer": "" if is_classical else variant_name("optimizer", trial.config.optimizer),
        "lr": None if is_classical else settings["optimizer.lr"],
        "batch_size": settings["training.batch_size"],
        "parameters": trial.num_parameters or costs.get("parameters", 0),
        "flops": costs.get("flops"),
        "latency_ms": costs.get("latency_ms"),
        "size_mb": costs.get("size_mb"),
        "train_seconds": round(trial.train_seconds, 2),
        "reason": trial.reason,
    }


def _format(name: str) -> Callable[[Any], str]:
    """Return how the values of a column are written."""
    name = name.removesuffix(SPREAD)
    if name in SHARES:
        return lambda value: "" if pd.isna(value) else f"{100 * value:.2f} %"
    if name == "val_loss":
        return lambda value: "" if pd.isna(value) else f"{value:.4f}"
    if name in ("lr", "flops", "latency_ms", "size_mb"):
        return lambda value: "" if pd.isna(value) else f"{value:.3g}"
    if name == "epochs":
        return lambda value: f"{value:g}"
    if name == "train_seconds":
        return lambda value: f"{value:.1f}"
    if name == "parameters":
        return lambda value: f"{value:,}"
    return str
