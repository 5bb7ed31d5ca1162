"""What the tracking store shows of a study as a whole."""

import json
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from search.finish import TestReading, doubt
from search.leaderboard import finalists_table, leaderboard, to_markdown
from search.plan import Plan
from search.race import Standing
from search.request import Request
from search.store import Store
from search.tracking.base import DataCard, StudyCard
from search.trials import State, Trial, merit
from search.winner import winner_of
from trainer.data import DataSet
from trainer.jobfiles import WEIGHTS

NUM_WEIGHTS_KEPT = 3  # complete trials whose weights go to the tracking store
PACKAGES = ("autoclf", "torch", "torchvision", "timm", "optuna", "mlflow", "numpy")
GIT_SECONDS = 5


def data_card(source: str, data: DataSet) -> DataCard:
    """Return what the tracking store is told of a data set."""
    return DataCard(
        name=source,
        fingerprint=data.fingerprint,
        num_classes=len(data.class_names),
        image_shape=data.image_shape,
        num_images={"train": data.num_train, "val": data.num_val, "test": data.num_test},
        skipped=data.skipped,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a search is, and what came of its end so far."""

    status: str  # as MLflow has it
    standing: Standing | None = None  # of the race of the finalists, after one
    test: TestReading | None = None  # of the winner, at the end


def study_card(request: Request, plan: Plan, data: DataCard, trials: Sequence[Trial], stage: Stage) -> StudyCard:
    """Return how the run of a study looks.

    Args:
        request: As it was asked for.
        plan: Of this machine.
        data: Set.
        trials: So far.
        stage: Of the search.
    """
    objective = request.space.objective.metric
    winner = winner_of(trials, objective, stage.standing)
    counts = Counter(trial.state for trial in trials)
    metrics = {f"trials/{state.value}": float(counts[state]) for state in State}
    tags = {
        "autoclf.space": request.space.fingerprint,
        "autoclf.data": data.fingerprint,
        "autoclf.state": stage.status.lower(),
    } | _git_commit()
    if winner is not None:
        metrics[f"best/{objective}"] = winner.results[-1].metrics()[objective]
        tags["autoclf.winner"] = str(winner.number)
        metrics |= doubt(trials, winner, objective, stage.standing, stage.test).metrics()
    texts = {
        "space.yaml": request.space_text,
        "versions.json": json.dumps(versions(), indent=1),
        "plan.json": json.dumps(plan.record(), indent=1),
        "leaderboard.md": to_markdown(leaderboard(trials, objective)),
    }
    if stage.standing is not None:
        texts["finalists.md"] = to_markdown(finalists_table(stage.standing, objective))
    if data.skipped:
        texts["skipped.txt"] = "\n".join(data.skipped) + "\n"
    if stage.test is not None:
        metrics |= stage.test.metrics()
        tags["autoclf.tested"] = "refit" if stage.test.is_refit else "trial"
    return StudyCard(
        name=request.study,
        status=stage.status,
        data=data,
        params={"space": request.space.name, "source": request.source, "seed": str(request.seed)},
        tags=tags,
        metrics=metrics,
        texts=texts,
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def best_weights(
    trials: Sequence[Trial], winner: Trial | None, objective: str, store: Store, study: str
) -> tuple[tuple[Trial, Path], ...]:
    """Return the weight files of the winner and of the next best complete trials."""
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    complete.sort(key=lambda trial: (trial is winner, merit(trial.results[-1], objective), -trial.number), reverse=True)
    paths = ((trial, store.job(study, trial.number) / WEIGHTS) for trial in complete[:NUM_WEIGHTS_KEPT])
    return tuple((trial, path) for trial, path in paths if path.exists())


def _git_commit() -> dict[str, str]:
    """Return the commit of the directory that the search was started in, as MLflow's own tag."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607  -- the user's git, wherever it is
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    commit = done.stdout.strip()
    return {"mlflow.source.git.commit": commit} if done.returncode == 0 and commit else {}
