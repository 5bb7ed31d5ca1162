"""Short trainings whose losses must stay as they are, and where the numbers are kept.

Three epochs on 64 tiny images, one thread. After a change that is meant to alter results, write the numbers anew
with `python -m tests.golden.update` and say in the commit why they moved; any other change leaves the files alone.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tests.trainer.short_jobs import MODELS, advance, fresh, open_splits, prepare_stripes, scores, tiny_job
from trainer.config import Value

RECIPES: Mapping[str, Mapping[str, Value]] = {
    "fastnet_muon": {
        **MODELS["fastnet"],
        "optimizer": "muon",
        "optimizer.lr": 0.003,  # low rates keep the rounding of other processors below what is compared
        "optimizer.head_lr": 0.05,
        "optimizer.sgd_lr": 0.01,
        "schedule": "linear",
        "augment.flip": "alternating",
        "augment.crop_padding": 2,
        "training.label_smoothing": 0.2,
        "training.ema": 0.9,
    },
    "resnet9_sgd": {
        **MODELS["resnet9"],
        "optimizer": "sgd",
        "schedule": "onecycle",
        "augment.flip": "random",
        "augment.cutout": 4,
        "augment.mixup": 0.4,
    },
    "vit_adamw": {
        **MODELS["vit"],
        "optimizer": "adamw",
        "schedule": "cosine",
        "augment.cutmix": 1.0,
        "augment.randaugment_ops": 1,
        "runtime.micro_batch": 6,
    },
}


def losses(recipe: str) -> dict[str, Any]:
    """Train by a recipe; return the losses and the accuracy of every epoch."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        splits = open_splits(prepare_stripes(Path(place)))
        config = tiny_job(splits.data_set, {**RECIPES[recipe], "training.epochs": 3.0})
        results = scores(advance(fresh(config, splits), config, splits))
    return {
        "train_loss": [result.train_loss for result in results],
        "val_loss": [result.val_loss for result in results],
        "val_accuracy": [result.val_accuracy for result in results],
    }


def path_of(recipe: str) -> Path:
    return Path(__file__).with_name(f"{recipe}.json")


def stored(recipe: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path_of(recipe).read_text(encoding="ascii"))
    return content
