"""The recipe of the CIFAR-10 speed records: ours in means is theirs in sums."""

import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.trainer.short_jobs import Splits, fresh, tiny_job
from trainer.models.fastnet import BIAS_RATE, HEAD_SHARE, FastNet
from trainer.muon import Muon
from trainer.step import take_step

BATCH = 32
BIAS_LR, HEAD_LR, FILTER_LR = 0.053, 0.67, 0.24  # of the published code, for the sum of a batch's losses
DECAY = 2e-6 * BATCH


def batch(step: int) -> Tensor:
    return (torch.arange(BATCH) + 16 * step) % 64


def test_three_steps_are_those_of_the_published_code(splits: Splits) -> None:
    channels = FastNet(channels=3, num_classes=4, width=0.1, depth=2).head.in_features
    size = channels * HEAD_SHARE  # of their head's weights beside ours
    config = tiny_job(
        splits.data_set,
        {
            "model": "fastnet",
            "model.width": 0.1,
            "model.depth": 2,
            "optimizer": "muon",
            "optimizer.lr": FILTER_LR,
            "optimizer.momentum": 0.6,
            "optimizer.sgd_lr": BIAS_LR * BATCH / BIAS_RATE,
            "optimizer.head_lr": HEAD_LR * BATCH / size**2,
            "optimizer.sgd_momentum": 0.85,
            "optimizer.weight_decay": DECAY,
            "schedule": "linear",
            "schedule.floor": 1.0,
            "training.batch_size": BATCH,
            "training.label_smoothing": 0.2,
            "runtime.micro_batch": BATCH,
        },
    )
    ours = fresh(config, splits)
    model = ours.model
    assert isinstance(model, FastNet)
    theirs = copy.deepcopy(model)
    with torch.no_grad():
        theirs.head.weight *= size

    for step in range(3):
        take_step(ours, config, splits.train, batch(step))
    _train_as_published(theirs, splits, num_steps=3)

    with torch.no_grad():
        theirs.head.weight /= size
    for (name, found), (_, expected) in zip(model.named_parameters(), theirs.named_parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


def _train_as_published(model: FastNet, splits: Splits, *, num_steps: int) -> None:
    """Train with summed losses; the last layer's output is divided by its number of channels."""
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    filters = [p for p in model.parameters() if p.ndim == 4 and p.requires_grad]
    groups = [
        {"params": biases, "lr": BIAS_LR, "weight_decay": DECAY / BIAS_LR},
        {"params": [model.head.weight], "lr": HEAD_LR, "weight_decay": DECAY / HEAD_LR},
    ]
    sgd = torch.optim.SGD(groups, momentum=0.85, nesterov=True)
    muon = Muon(filters, lr=FILTER_LR, momentum=0.6, project=True, dtype=torch.float32)
    for step in range(num_steps):
        pixels, labels = splits.train.take(batch(step))
        logits = model(splits.train.normalise(pixels)) / (HEAD_SHARE * model.head.in_features)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.2, reduction="sum")
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        sgd.step()
        muon.step()
