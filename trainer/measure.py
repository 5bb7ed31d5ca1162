"""How this machine trains fastest: portions of a batch and threads of a job, by timing real training steps.

It is done once, before the first trial; from then on the answer is part of every configuration, so that a result
never depends on how busy the machine was.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from trainer.batches import Examples, load_splits
from trainer.config import JobConfig, model_name
from trainer.data import DataSet, load_data_set
from trainer.devices import fastest_precision, num_jobs, resolve_device, set_arithmetic
from trainer.errors import is_out_of_memory
from trainer.features import has_fixed_features, on_features
from trainer.loop import EVALUATION_PORTION
from trainer.models import input_moments
from trainer.orders import MeasureOrder
from trainer.results import FeaturesMade, Measured
from trainer.settings import Classical, is_pretrained
from trainer.state import begin
from trainer.step import take_step

PORTIONS = (64, 128, 250, 500, 1000, 2000)  # smaller ones give batch norm too little to go by
WORTH_SIZE = 0.92  # share of the best rate at which the larger portion is taken, for its steadier statistics
HOPELESS = 0.75  # share of the best rate below which no larger portion is tried
WORTH_THREADS = 0.8  # share of the rate per thread that must be left to give a job more threads
SHARE_OF_LIMIT = 0.5  # of a time limit, in which a full training should fit
PATIENCE_SECONDS = 1.0  # for one step; a model that is slower is not tried on larger portions
ENOUGH_SECONDS = 0.3  # of timed steps; shorter ones are repeated
LONG_SECONDS = 10.0  # of a step; one that takes this long is not repeated
MEASURING_SHARE = 0.05  # of a time limit, that all of the timing may take
FIRST_STEP = 8  # images of the step before, which also sets things up
SECONDS_BETWEEN_EVENTS = 0.5
THREADS_PORTION = 16  # images of the steps that threads are chosen by
PIXELS_AT_ONCE = 2**20  # of the images that a model without epochs is shown together


def measure(order: MeasureOrder, *, emit: Callable[[FeaturesMade], None] = lambda made: None) -> Measured:
    """Time every model and choose.

    On a processor a job gets as many threads as it can use well: two jobs of one thread give no more images a second
    than one of two, but one trial is done in half the time. On an accelerator a job has it to itself. Models without
    epochs take no steps that could be timed; a space of nothing else gets one thread a job.

    Args:
        order: What to time. Of several jobs with one model, the one that takes the smallest portions counts.
        emit: Told how far the features of frozen networks are, which are made on the way.

    Raises:
        ConfigError: If the device is not there, or a network can't be had.
    """
    data_set = load_data_set(order.data_root)
    device = resolve_device(order.device)
    precision = fastest_precision(device)
    set_arithmetic(precision, device)
    on_device = {"device": str(device), "precision": precision, "channels_last": device.type != "mps"}
    configs = [_with(config, **on_device) for config in order.configs]
    torch.set_num_threads(order.num_cores)
    examples = [_examples(config, data_set, device, emit) for config in configs]
    timed = [pair for pair in zip(configs, examples, strict=True) if not isinstance(pair[0].model, Classical)]
    until = _deadlines(order, num=len(timed) + len(_counts(order)))
    threads = order.threads or (_threads(order, *timed[0], until=until) if timed else 1)
    portions: dict[str, dict[int, float]] = defaultdict(dict)
    for config, images in timed:
        portion, rate = _best_portion(_with(config, threads=threads), images, order, until=next(until))
        portions[model_name(config.model)][portion] = rate
    return Measured(
        device=str(device),
        precision=precision,
        channels_last=device.type != "mps",
        micro_batches={name: min(found) for name, found in portions.items()} | _untimed(configs, data_set),
        images_per_second={name: found[min(found)] for name, found in portions.items()},
        threads=threads,
        workers=num_jobs(
            device.type,
            num_cores=order.num_cores,
            threads=threads,
            processes=max(config.runtime.processes for config in order.configs),
        ),
    )


def _deadlines(order: MeasureOrder, *, num: int) -> Iterator[float]:
    """Yield until when each of some things may be timed, one after the other: of what is left, all get the same."""
    end = math.inf if order.seconds is None else time.perf_counter() + MEASURING_SHARE * order.seconds
    for left in range(num, 0, -1):
        now = time.perf_counter()
        yield now + max(0.0, end - now) / left


def _examples(
    config: JobConfig, data_set: DataSet, device: torch.device, emit: Callable[[FeaturesMade], None]
) -> Examples:
    """Return what a job trains on; what can't be built is told here, before the first trial."""
    splits = load_splits(data_set, input_moments(config.model, data_set), device)
    if not is_pretrained(config.model) and not isinstance(config.model, Classical):
        return splits[0]
    state = begin(config, data_set, splits[0])
    if not has_fixed_features(config, num_train=data_set.num_train):
        return splits[0]
    told_at = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        if done == total or time.monotonic() - told_at > SECONDS_BETWEEN_EVENTS:
            told_at = time.monotonic()
            emit(FeaturesMade(done=done, total=total))

    return (on_features(state.model, config, data_set, splits, tell) or splits)[0]


def _counts(order: MeasureOrder) -> list[int]:
    """Return the numbers of threads to choose among; none where that is not asked."""
    return [] if order.threads else [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= order.num_cores]


def _threads(order: MeasureOrder, config: JobConfig, images: Examples, *, until: Iterator[float]) -> int:
    """Return the most threads that keep most of the rate per thread; an accelerator's job needs just one.

    Within a time limit, a job gets enough of them for a full training, if any number is enough.
    """
    if images.device.type != "cpu":
        return 1
    rates = {
        n: _rate(_with(config, threads=n), images, order, portion=THREADS_PORTION, until=next(until))
        for n in _counts(order)
    }
    per_thread = max(rate / count for count, rate in rates.items())
    chosen = max(count for count, rate in rates.items() if rate / count >= WORTH_THREADS * per_thread)
    if order.seconds is None:
        return chosen
    needed = len(images) * config.training.epochs / (SHARE_OF_LIMIT * order.seconds)
    enough = [count for count, rate in rates.items() if rate >= needed]
    return max(chosen, min(enough, default=max(rates, key=lambda count: rates[count])))


def _best_portion(config: JobConfig, images: Examples, order: MeasureOrder, *, until: float) -> tuple[int, float]:
    """Grow the portion while that pays and time is left; return the largest near the best, with its images a second."""
    rates: dict[int, float] = {}
    for portion in _candidates(config, images):
        if rates and time.perf_counter() >= until:
            break
        try:
            rates[portion] = _rate(config, images, order, portion=portion, until=until)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            break  # its trials will fail and say why if even the first is too large
        is_slow = portion / rates[portion] > PATIENCE_SECONDS
        if is_slow or rates[portion] < HOPELESS * max(rates.values()):
            break
    if not rates:
        return min(PORTIONS[0], config.training.batch_size), 0.0
    best = max(rates.values())
    chosen = max(portion for portion, rate in rates.items() if rate >= WORTH_SIZE * best)
    return chosen, rates[chosen]


def _candidates(config: JobConfig, images: Examples) -> Iterable[int]:
    largest = min(config.training.batch_size, len(images))
    return [size for size in PORTIONS if size < largest] + [largest]


def _rate(config: JobConfig, images: Examples, order: MeasureOrder, *, portion: int, until: float) -> float:
    """Return the images per second of training steps on portions of one size.

    The first step on a portion of this size has its memory fetched from the system; the best of several counts, or
    this first one alone, where the time is up.
    """
    torch.set_num_threads(config.runtime.threads)
    size = min(portion, len(images))
    trial = _with(_at_its_dearest(config, size), micro_batch=size, compile="never")
    state = begin(trial, load_data_set(order.data_root), images, is_new=False)  # its speed is that of any weights
    take_step(state, trial, images, torch.arange(min(size, FIRST_STEP)))
    seconds: list[float] = []
    while not seconds or (_is_unsure(seconds) and time.perf_counter() < until):
        start = time.perf_counter()
        take_step(state, trial, images, torch.arange(size))
        _wait(images)
        seconds.append(time.perf_counter() - start)
    if state.halvings:
        raise MemoryError(f"portions of {size} images do not fit into memory")
    return size / min(seconds)


def _is_unsure(seconds: Sequence[float]) -> bool:
    """Say whether another step should be timed."""
    if len(seconds) < 2:
        return sum(seconds) < LONG_SECONDS
    return len(seconds) < 3 and sum(seconds) < ENOUGH_SECONDS


def _at_its_dearest(config: JobConfig, batch_size: int) -> JobConfig:
    """Return a job whose first step costs as much as any: images have their size, and nothing waits to be trained."""
    return replace(
        config,
        training=replace(config.training, batch_size=batch_size, start_size=1.0),
        transfer=replace(config.transfer, unfreeze_at=0.0),
    )


def _untimed(configs: Iterable[JobConfig], data_set: DataSet) -> dict[str, int]:
    """Return the portions in which models without epochs are shown images, by model name."""
    height, width, _ = data_set.image_shape
    portion = max(1, min(EVALUATION_PORTION, PIXELS_AT_ONCE // (height * width)))
    return {model_name(config.model): portion for config in configs if isinstance(config.model, Classical)}


def _wait(images: Examples) -> None:
    """Let an accelerator finish what it was given."""
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)


def _with(config: JobConfig, **changes: Any) -> JobConfig:
    return replace(config, runtime=replace(config.runtime, **changes))
