"""Which readings at a rung tell most of the end: rank correlations on real trainings on a part of CIFAR-10.

    python -m benchmarks.rungs --cifar10 FILE.npz [--configs 24] [--out rungs.json] [--as-drawn]

The same configurations, drawn from the preset `cifar10` with a half-wide fast net, are read in five ways: what is read
at a rung is the network in the middle of its schedule; the preview of its weights there; their exponential average; the
network after a short decay that branches off a constant rate, so that each rung has a schedule that is over; or a
training of its own that is as long as the rung. The first three are of one training, and end with it; the fourth ends
with its last decay, and the fifth as the first. All have a linear schedule in place of the one that was drawn, so that
the fifth has the same one; with `--as-drawn` each keeps its own, and is read in the first three ways.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from autoclf.options import user_cache
from benchmarks.jobs import planned
from search.jobs import build_job
from search.plan import num_cores
from search.surrogate.encoding import Encoding
from spaces import load_space, parse_space, with_changes
from trainer.averaging import Average, build_average
from trainer.batches import Examples, load_images
from trainer.config import JobConfig
from trainer.data import DataSet, open_split, prepare
from trainer.devices import set_arithmetic
from trainer.errors import Diverged
from trainer.evaluate import score
from trainer.loop import predict_split, train
from trainer.models import input_moments
from trainer.settings import Linear, Schedule, Wsd
from trainer.state import TrainState, begin

RUNGS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # epochs
FIRST = 0.1  # epochs: a rung more, with the schedules as they are drawn
NUM_IMAGES = 11_000  # of which a tenth is for validation
WARMUP = 0.1  # epochs
DECAY = 0.2  # share of a rung, at its end
AVERAGED = 0.95  # decay a step
WAYS = ("in mid-schedule", "preview", "exponential average", "decay branch", "schedule of its own")
FIXED = {"model": "fastnet", "model.width": 0.5, "scoring.tta": "none", "training.ema": 0.0}

Item = TypeVar("Item")
Readings = dict[str, list[float]]  # accuracies at the rungs, by way


def main() -> None:
    """Train all configurations, then say what each way of reading is worth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--configs", type=int, default=24)
    parser.add_argument("--as-drawn", action="store_true", help="keep each one's schedule, and read in three ways")
    parser.add_argument("--out", type=Path, help="else rungs.json, or rungs-as-drawn.json")
    asked = parser.parse_args()
    out = asked.out or Path("rungs-as-drawn.json" if asked.as_drawn else "rungs.json")
    torch.set_num_threads(num_cores())
    data_set = _part(asked.cifar10)
    found: list[Readings] = json.loads(out.read_text()) if out.exists() else []
    rungs = (FIRST, *RUNGS) if asked.as_drawn else RUNGS
    for number, config in enumerate(_configs(data_set, asked.configs, as_drawn=asked.as_drawn)):
        if number < len(found):
            continue
        began = time.monotonic()
        found.append(read(config, data_set, rungs, others=not asked.as_drawn))
        out.write_text(json.dumps(found))
        print(f"{number}: {time.monotonic() - began:.0f} s, {found[-1]}", flush=True)
    print(table(found, rungs))


def read(config: JobConfig, data_set: DataSet, rungs: Sequence[float], *, others: bool) -> Readings:
    """Return the validation accuracy of a configuration at each rung, read in each way; 0 from where it diverged.

    Args:
        config: To be trained.
        data_set: Small.
        rungs: In epochs.
        others: Read also in the two ways that take another schedule.
    """
    moments, device = input_moments(config.model, data_set), torch.device("cpu")
    images, held_out = (load_images(open_split(data_set, split), moments, device) for split in ("train", "val"))
    set_arithmetic(config.runtime.precision, device)
    of_one = list(_until_diverged(_in_mid_schedule(config, data_set, images, held_out, rungs)))
    found = {way: _filled([readings[place] for readings in of_one], rungs) for place, way in enumerate(WAYS[:3])}
    if not others:
        return found
    alone = _filled(_until_diverged(_alone(config, data_set, images, held_out)), rungs)
    return {
        **found,
        "decay branch": _filled(_until_diverged(_branches(config, data_set, images, held_out)), rungs),
        "schedule of its own": [*alone[:-1], found["in mid-schedule"][-1]],  # the last one is the same training
    }


def table(found: Sequence[Readings], rungs: Sequence[float]) -> str:
    """Return the rank correlation of each rung with the end, and what the ends are like."""
    lines = ["| read | " + " | ".join(f"epoch {rung:g}" for rung in rungs[:-1]) + " | best end | median end |"]
    lines.append("|---" * (len(rungs) + 2) + "|")
    for way in (way for way in WAYS if way in found[0]):
        scores = np.array([readings[way] for readings in found])
        ranks = [f"{spearmanr(scores[:, place], scores[:, -1]).statistic:.2f}" for place in range(len(rungs) - 1)]
        ends = f"{100 * scores[:, -1].max():.1f} % | {100 * np.median(scores[:, -1]):.1f} %"
        lines.append(f"| {way} | {' | '.join(ranks)} | {ends} |")
    return "\n".join(lines)


class _Both:
    """Two averages of one training."""

    def __init__(self, first: Average, second: Average) -> None:
        self.module = first.module
        self.second = second
        self._averages = (first, second)

    def update(self, model: nn.Module, *, step: int) -> None:
        for average in self._averages:
            average.update(model, step=step)


def _in_mid_schedule(
    config: JobConfig, data_set: DataSet, images: Examples, held_out: Examples, rungs: Sequence[float]
) -> Iterator[tuple[float, float, float]]:
    """Yield at each rung the accuracies of the weights, of their preview, and of their exponential average."""
    state = begin(config, data_set, images)
    exponential = build_average(replace(config.training, ema=AVERAGED), state.model, num_steps=0)
    assert state.averaged is not None
    assert exponential is not None
    both = state.averaged = _Both(state.averaged, exponential)
    for rung in rungs:
        _advance(state, config, images, rung)
        yield (
            _accuracy(state, config, held_out, model=state.model),
            _accuracy(state, config, held_out, model=both.module),
            _accuracy(state, config, held_out, model=both.second.module),
        )


def _branches(config: JobConfig, data_set: DataSet, images: Examples, held_out: Examples) -> Iterator[float]:
    """Yield at each rung the accuracy after a decay that began a fifth before it."""
    raw = replace(config, training=replace(config.training, preview="weights"))
    state = begin(raw, data_set, images)
    for rung in RUNGS:
        short = _with_schedule(raw, epochs=rung, schedule=Wsd(warmup=WARMUP / rung, decay=DECAY))
        _advance(state, short, images, (1 - DECAY) * rung)
        branch = copy.deepcopy(state)
        _advance(branch, short, images, rung)
        yield _accuracy(branch, short, held_out)


def _alone(config: JobConfig, data_set: DataSet, images: Examples, held_out: Examples) -> Iterator[float]:
    """Yield at each rung but the last the accuracy of a training that ends there."""
    for rung in RUNGS[:-1]:
        short = _with_schedule(config, epochs=rung, schedule=Linear(warmup=WARMUP / rung))
        state = begin(short, data_set, images)
        _advance(state, short, images, rung)
        yield _accuracy(state, short, held_out)


def _with_schedule(config: JobConfig, *, epochs: float, schedule: Schedule) -> JobConfig:
    return replace(config, schedule=schedule, training=replace(config.training, epochs=epochs))


def _advance(state: TrainState, config: JobConfig, images: Examples, until: float) -> None:
    for _ in train(state, config, train_images=images, val_images=None, until=until):
        pass


def _accuracy(state: TrainState, config: JobConfig, images: Examples, model: nn.Module | None = None) -> float:
    return score(predict_split(state, config, images, model=model), images.labels).accuracy


def _until_diverged(readings: Iterator[Item]) -> Iterator[Item]:
    try:
        yield from readings
    except Diverged:
        return


def _filled(readings: Iterator[float] | Sequence[float], rungs: Sequence[float]) -> list[float]:
    known = list(readings)
    return known + [0.0] * (len(rungs) - len(known))


def _part(file: Path) -> DataSet:
    """Return a part of CIFAR-10 as a data set of its own."""
    place = user_cache() / f"cifar10-{NUM_IMAGES}.npz"
    if not place.exists():
        with np.load(file) as arrays:
            chosen = {f"{axis}_train": arrays[f"{axis}_train"][:NUM_IMAGES] for axis in "xy"}
            place.parent.mkdir(parents=True, exist_ok=True)
            np.savez(place, **chosen, **{f"{axis}_test": arrays[f"{axis}_test"][:1000] for axis in "xy"})
    return prepare(f"npz:{place}", cache=user_cache(), data_dir=place.parent, val_fraction=0.1, seed=0)


def _configs(data_set: DataSet, num: int, *, as_drawn: bool) -> Iterator[JobConfig]:
    """Yield configurations drawn by chance, over the last rung; with a linear schedule, unless they keep theirs."""
    preset = load_space("cifar10").file
    changes = FIXED | {"budget.rungs": list(RUNGS)}
    space = parse_space(with_changes(preset.read_text(), changes, name=preset.name), file=preset)
    rng, runtime = np.random.default_rng(0), None
    for _ in range(num):
        drawn = Encoding(space).params(rng.random(len(space.params)))
        config = build_job(space, drawn, data=data_set.fingerprint, seed=0, runtime={})
        runtime = runtime or replace(planned(config, data_set).runtime, threads=num_cores())
        schedule = config.schedule if as_drawn else Linear(warmup=WARMUP / RUNGS[-1])
        yield _with_schedule(replace(config, runtime=runtime), epochs=RUNGS[-1], schedule=schedule)


if __name__ == "__main__":
    main()
