"""The job of a model without epochs: fitted once, scored at every rung. An iterator, as `trainer.loop.train` is.

Shapes: N images, D features.
"""

import importlib
import time
from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from trainer.batches import Examples
from trainer.classical.learners import Lesson, components, learn
from trainer.classical.model import ClassicalModel
from trainer.classical.parts import Arrays, Fitted
from trainer.config import JobConfig
from trainer.data.splits import hold_out
from trainer.lengths import steps_until
from trainer.loop import EVALUATION_PORTION, Scored, score_stretch
from trainer.results import StepResult
from trainer.seeds import derive
from trainer.settings import AnyClassical, Classical, Svm
from trainer.state import Stretch, TrainState

LEAST_STD = 0.5  # times the root mean square of the deviations of all features
LIBRARIES = "trainer.classical.preload"
PORTION = 1000  # rows of features that go through a part together

Floats = NDArray[np.float32]


def fit(
    state: TrainState, config: JobConfig, *, train_images: Examples, val_images: Examples | None, until: float
) -> Iterator[StepResult | Scored]:
    """Fit the model of `state`, if that was not done yet, and score it.

    A `StepResult` comes after each stage of the fit, one `Scored` at `until`. A state that was fitted for an earlier
    rung is scored again, on all the images of this one, and tells the loss of its fit again. Between two stages the job
    may stop; the fit then begins anew, as nothing of it is kept until it is whole.

    Args:
        state: Of a `ClassicalModel`; changed in place. Its steps are those that a network would have done by now.
        config: The job; of `training` and `loss` only the class weights count, of `augment` nothing.
        train_images: With `config.data` as their fingerprint.
        val_images: Scored, never fitted on. None where there are none.
        until: Epoch at which the result is reported.
    """
    last = steps_until(config, len(train_images), until)
    if state.step >= last:
        return
    is_new = not state.step
    if is_new:
        began = time.perf_counter()
        importlib.import_module(LIBRARIES)  # which is limited only if it is there already
        with threadpool_limits(config.runtime.threads):
            for _ in _fit(state, config, train_images):
                yield StepResult(epoch=0.0, images_per_second=0.0)
        state.stretch.seconds = time.perf_counter() - began
    state.step = last
    if val_images is None:
        return
    scored = score_stretch(state, config, val_images, len(train_images), epoch=until, until=until)
    result = replace(scored.result, train_images=state.stretch.num_images)
    yield replace(scored, result=result if is_new else replace(result, epoch_seconds=0.0))


def _fit(state: TrainState, config: JobConfig, images: Examples) -> Iterator[None]:
    """Fit scale, components and scores one after the other; leave the sums of the training images in the stretch."""
    model, settings = state.model, config.model
    assert isinstance(model, ClassicalModel) and isinstance(settings, Classical)  # noqa: PT018
    numbers = _numbers(settings, images.labels, seed=derive(config.seed, "subset"))
    portion = min(EVALUATION_PORTION, config.runtime.micro_batch)
    features = yield from _described(model.describe, images, numbers, portion=portion)
    model.scale.take(_moments(features))
    features = _through(model.scale, features)
    yield
    if model.components is not None:
        model.components.take(components(features, settings.pca))
        features = _through(model.components, features)
        yield
    labels = images.labels[numbers.to(images.labels.device)]
    assert labels.bincount(minlength=state.num_classes).all(), "every class has a training image"
    weights = state.criterion.class_weights
    lesson = Lesson(
        features,
        labels.cpu().numpy(),
        np.ones(len(labels)) if weights is None else weights[labels.to(weights.device)].double().cpu().numpy(),
        seed=derive(config.seed, "fit"),
        threads=config.runtime.threads,
    )
    model.head.take((yield from learn(settings, lesson)))
    state.stretch = _sums(torch.from_numpy(_through(model.head, features)), labels, state.stretch.loss.device)


def _numbers(settings: AnyClassical, labels: Tensor, *, seed: int) -> Tensor:
    """Return the numbers of the images to fit on, ascending: all, or of each class the same share."""
    limit = settings.max_images if isinstance(settings, Svm) and settings.kernel == "rbf" else len(labels)
    if len(labels) <= limit:
        return torch.arange(len(labels))
    chosen = hold_out(labels.cpu().numpy(), fraction=limit / len(labels), keep=0, seed=seed, split="val")
    return torch.from_numpy(chosen).nonzero().squeeze(1)


def _described(
    describe: nn.Module, images: Examples, numbers: Tensor, *, portion: int
) -> Generator[None, None, Floats]:
    """Return the (N, D) features of the images with these numbers; none but a portion of the images is in memory."""
    found: Floats | None = None
    first = 0
    for pixels, _ in images.portions(portion, numbers):
        some = _answer(describe, pixels)
        if found is None:
            found = np.empty((len(numbers), some.shape[1]), dtype=np.float32)
        found[first : first + len(some)] = some
        first += len(some)
        yield
    assert found is not None, "no split is empty"
    return found


def _moments(features: Floats) -> Arrays:
    """Return mean and deviation of each feature, the latter at least half of what it is over all features.

    Else a pixel that changes in one image of a thousand would outweigh the hundred that show the digit.
    """
    std = features.std(axis=0, dtype=np.float64)
    usual = float(np.sqrt(np.square(std).mean())) or 1.0
    return {"mean": features.mean(axis=0, dtype=np.float64), "std": np.maximum(std, LEAST_STD * usual)}


def _through(part: Fitted, features: Floats) -> Floats:
    """Return what a part makes of (N, D) features, by the same arithmetic as in the finished model."""
    device = next(part.parameters()).device
    some = range(0, len(features), PORTION)
    parts = [_answer(part, torch.from_numpy(features[first : first + PORTION]).to(device)) for first in some]
    return np.concatenate(parts)


@torch.no_grad()
def _answer(part: nn.Module, inputs: Tensor) -> Floats:
    found: Floats = part(inputs).cpu().numpy()
    return found


def _sums(logits: Tensor, labels: Tensor, device: torch.device) -> Stretch:
    """Return the sums of (N, K) logits of the images fitted on."""
    labels = labels.cpu()
    return Stretch(
        loss=F.cross_entropy(logits, labels, reduction="sum").to(device),
        correct=(logits.argmax(dim=1) == labels).sum().float().to(device),
        num_images=len(labels),
    )
