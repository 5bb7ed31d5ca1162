"""An hour on real CIFAR-10 for each of three: our search, Optuna with our trainer, Optuna with a tutorial's loop.

    python -m benchmarks.cifar_hour --data-dir DIR --out OUT [--minutes 60] [--only ours optuna tutorial]

All have the same images, the same validation split and the same machine to themselves, one after the other. What each
has told is kept in OUT, so that they may run on several days; the table and the picture are made of all that is there.
"Ours" is the command as a user gives it, with the race of the finalists and the refit on validation images, too.
"Optuna" is TPE with the SuccessiveHalvingPruner over our whole space, our baselines first, our trainer in a worker
process, read at the rungs of the space; its best trial is tested. "Tutorial" is TPE with Optuna's own pruner over the
learning rate of a ResNet-18 in the tutorials' loop: on two cores not one of its trainings ends within an hour.
"""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import optuna
import torch

from autoclf.options import user_cache
from benchmarks.jobs import planned
from benchmarks.suggest import suggest
from benchmarks.tutorial_loop import Pictures, accuracy, train_epochs
from search.alone import run_alone
from search.book import step_of
from search.executors.local import LocalExecutor
from search.jobs import build_job
from search.plan import num_cores
from spaces import SearchSpace, load_space
from trainer.batches import load_images
from trainer.config import JobConfig, Value, job_config
from trainer.data import DataSet, open_split, prepare
from trainer.data.locked import open_test_split
from trainer.models import build_model
from trainer.orders import TestOrder, TrainOrder
from trainer.results import EpochResult, Failed, JobEvent, Reached, Stopped, Tested

TUTORIAL_EPOCHS = 5
MOST_TRIALS = 1000
REDUCTION = 4  # Optuna's own


@dataclass(slots=True, kw_only=True)
class Story:
    """How a search went."""

    name: str
    minutes: float
    best: list[tuple[float, float]] = field(default_factory=list)  # seconds, best validation accuracy so far
    test: float = 0.0  # accuracy of what came of it
    trials: int = 0
    seconds: float = 0.0  # in all, the reading of the test split included

    def tell(self, seconds: float, accuracy: float, *, is_whole: bool = True) -> None:
        """Note a validation accuracy of a model, unless only a part of the split was shown to it."""
        if is_whole and (not self.best or accuracy > self.best[-1][1]):
            self.best.append((seconds, accuracy))


def main() -> None:
    """Run who was asked for, then make the table and the picture of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--only", nargs="*", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(num_cores())
    for name in asked.only:
        story = CONTESTANTS[name](asked.data_dir, asked.minutes, asked.out)
        (asked.out / f"{name}.json").write_text(json.dumps(asdict(story)) + "\n")
        print(_row(story), flush=True)
    stories = [Story(**json.loads(path.read_text())) for path in sorted(asked.out.glob("*.json"))]
    print("\n".join([HEAD, *map(_row, stories)]))
    draw(stories, asked.out / "cifar_hour.png")


def ours(data_dir: Path, minutes: float, out: Path) -> Story:
    """Run the command as a user does."""
    story = Story(name="autoclf search", minutes=minutes)
    words = ["search", "--space", "cifar10", "--trials", str(MOST_TRIALS), "--timeout", f"{minutes:g}m", "--json"]
    places = ["--data-dir", str(data_dir), "--store", tempfile.mkdtemp(dir=out, prefix="store-")]
    num_val = _data(data_dir).num_val
    began = time.time()
    with subprocess.Popen(
        [sys.executable, "-m", "autoclf", *words, *places], stdout=subprocess.PIPE, text=True
    ) as search:
        assert search.stdout is not None
        for line in search.stdout:
            event = json.loads(line)
            if event["event"] == "epoch":
                story.tell(event["at"] - began, event["val/accuracy"], is_whole=event["val/images"] == num_val)
            if event["event"] == "outcome":
                story.trials, story.test = event["trials"], event["test"]["accuracy"] if event["test"] else 0.0
    story.seconds = time.time() - began
    return story


def with_optuna(data_dir: Path, minutes: float, out: Path) -> Story:
    """Let Optuna sample and prune, and our trainer train."""
    space, data_set = load_space("cifar10"), _data(data_dir)
    story = Story(name="Optuna TPE + SuccessiveHalving, our trainer", minutes=minutes)
    began = time.monotonic()
    executor, place = LocalExecutor(1), Path(tempfile.mkdtemp(dir=out, prefix="jobs-"))
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(
            min_resource=step_of(space.budget.rungs[0]), reduction_factor=REDUCTION
        ),
    )
    for baseline in space.baselines:
        study.enqueue_trial(dict(baseline))
    runtime = _runtime(space, data_set)
    trained: dict[int, JobConfig] = {}

    def train(trial: optuna.Trial) -> float:
        drawn = suggest(trial, space)
        config = build_job(space, drawn, data=data_set.fingerprint, seed=0, runtime=runtime)
        trained[trial.number] = config
        score = 0.0

        def follow(event: JobEvent) -> None:
            nonlocal score
            if isinstance(event, EpochResult):
                score = event.val_accuracy
                story.tell(time.monotonic() - began, score, is_whole=event.val_images == data_set.num_val)

        for rung in space.budget.rungs:
            order = TrainOrder(config=config, data_root=data_set.root, directory=place / str(trial.number), until=rung)
            last = run_alone(executor, order, follow, lambda: time.monotonic() - began > 60 * minutes)
            if not isinstance(last, Reached | Stopped):
                raise RuntimeError(last.message if isinstance(last, Failed) else "its process died")
            trial.report(score, step=step_of(rung))
            if isinstance(last, Stopped) or trial.should_prune():
                raise optuna.TrialPruned
        return score

    study.optimize(train, timeout=60 * minutes, catch=(RuntimeError,))
    best = max(study.trials, key=lambda trial: max(trial.intermediate_values.values(), default=0.0))
    order = TestOrder(config=trained[best.number], data_root=data_set.root, directory=place / str(best.number))
    tested = run_alone(executor, order)
    assert isinstance(tested, Tested), tested
    story.test, story.trials = tested.evaluation.accuracy, len(study.trials)
    story.seconds = time.monotonic() - began
    return story


def with_tutorial(data_dir: Path, minutes: float, _out: Path) -> Story:
    """Run the script that a tutorial would give."""
    data_set = _data(data_dir)
    story = Story(name="Optuna, a tutorial's ResNet-18", minutes=minutes)
    cpu = torch.device("cpu")
    images = load_images(open_split(data_set, "train"), data_set.moments, cpu)
    held_out = load_images(open_split(data_set, "val"), data_set.moments, cpu)
    began = time.monotonic()
    until = began + 60 * minutes
    kept: tuple[float, torch.nn.Module] | None = None

    def train(trial: optuna.Trial) -> float:
        nonlocal kept
        model = _resnet18(data_set)
        found = 0.0
        pictures = Pictures(images, is_training=True)
        lr = trial.suggest_float("lr", 0.01, 1.0, log=True)
        for epoch, _ in enumerate(train_epochs(model, pictures, epochs=TUTORIAL_EPOCHS, lr=lr, until=until), start=1):
            found = accuracy(model, held_out)
            story.tell(time.monotonic() - began, found)
            if kept is None or found > kept[0]:
                kept = found, copy.deepcopy(model)
            trial.report(found, epoch)
            if trial.should_prune() or time.monotonic() > until:
                raise optuna.TrialPruned
        return found

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(train, timeout=60 * minutes)
    assert kept is not None, "no epoch ended"
    story.test = accuracy(kept[1], load_images(open_test_split(data_set), data_set.moments, cpu))
    story.trials, story.seconds = len(study.trials), time.monotonic() - began
    return story


CONTESTANTS: Mapping[str, Callable[[Path, float, Path], Story]] = {
    "ours": ours,
    "optuna": with_optuna,
    "tutorial": with_tutorial,
}
HEAD = "| search | test accuracy | best validation accuracy | trials | minutes |\n|---|---|---|---|---|"


def _row(story: Story) -> str:
    best = story.best[-1][1] if story.best else 0.0
    return (
        f"| {story.name} | {100 * story.test:.2f} % | {100 * best:.2f} % | {story.trials} | {story.seconds / 60:.1f} |"
    )


def _data(data_dir: Path) -> DataSet:
    spec = load_space("cifar10").data
    return prepare("cifar10", cache=user_cache(), data_dir=data_dir, val_fraction=spec.val_fraction, seed=spec.seed)


def _runtime(space: SearchSpace, data_set: DataSet) -> dict[str, Value]:
    """Return what the machine decides of each job: what our plan would, with the portions of the first baseline."""
    first = build_job(space, dict(space.baselines[0]), data=data_set.fingerprint, seed=0, runtime={})
    runtime = planned(first, data_set).runtime
    return {
        "runtime.precision": runtime.precision,
        "runtime.channels_last": runtime.channels_last,
        "runtime.micro_batch": runtime.micro_batch,
        "runtime.threads": num_cores(),
    }


def _resnet18(data_set: DataSet) -> torch.nn.Module:
    settings = job_config({"model": "resnet18"}).model
    return build_model(settings, image_shape=data_set.image_shape, num_classes=len(data_set.class_names), seed=0)


def draw(stories: list[Story], path: Path) -> None:
    """Draw the best validation accuracy over time, and the test accuracy at the end."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(8, 5))
    for story in stories:
        minutes = [seconds / 60 for seconds, _ in story.best]
        scores = [100 * score for _, score in story.best]
        (line,) = axis.step(
            [*minutes, story.minutes],
            [*scores, scores[-1]],
            where="post",
            label=f"{story.name}: best validation so far",
        )
        axis.plot(story.seconds / 60, 100 * story.test, "o", color=line.get_color(), label=f"test: {story.test:.2%}")
    axis.set_xlabel("minutes")
    axis.set_ylabel("accuracy, %")
    axis.set_title("CIFAR-10, two cores")
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
