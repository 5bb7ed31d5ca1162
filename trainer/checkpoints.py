"""Checkpoints of a job: whole or absent, verified before they are believed, the last two kept.

A file is a magic word, the sha256 of the rest, and what `torch.save` wrote; it is read with `weights_only=True`.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from trainer.crashpoints import crash_point
from trainer.errors import CheckpointError
from trainer.files import write_bytes
from trainer.jobfiles import CHECKPOINT, CHECKPOINTS, INCOMING_CHECKPOINT, PREVIOUS_CHECKPOINT

MAGIC = b"autoclf1"


def save_checkpoint(directory: Path, content: dict[str, Any]) -> None:
    """Write the newest checkpoint and keep the one before it.

    Raises:
        OSError: If the disk refuses; what was there before is still there.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getvalue()
    incoming = directory / INCOMING_CHECKPOINT
    write_bytes(incoming, MAGIC + hashlib.sha256(payload).digest() + payload)
    crash_point("in_checkpoint_write")
    if (directory / CHECKPOINT).exists():
        (directory / CHECKPOINT).replace(directory / PREVIOUS_CHECKPOINT)
    incoming.replace(directory / CHECKPOINT)
    crash_point("after_checkpoint")


def load_checkpoint(directory: Path, *, fingerprint: str, device: torch.device) -> dict[str, Any] | None:
    """Return the newest checkpoint that is sound and belongs to the job, or None.

    Args:
        directory: Of the job; it need not exist.
        fingerprint: Of the job's config, as `content["fingerprint"]` holds it.
        device: Where its tensors shall lie.
    """
    for name in CHECKPOINTS:
        try:
            content = read_checkpoint(directory / name, device=device)
        except (CheckpointError, FileNotFoundError):
            continue
        if content.get("fingerprint") == fingerprint:
            return content
    return None


def read_checkpoint(path: Path, *, device: torch.device) -> dict[str, Any]:
    """Read one checkpoint file.

    Raises:
        CheckpointError: If it is torn, altered or no checkpoint.
        FileNotFoundError: If there is none.
    """
    raw = path.read_bytes()
    start = len(MAGIC) + hashlib.sha256().digest_size
    payload = raw[start:]
    if raw[: len(MAGIC)] != MAGIC or hashlib.sha256(payload).digest() != raw[len(MAGIC) : start]:
        raise CheckpointError(f"{path} is torn or was altered: its checksum does not fit its content.")
    try:
        content: dict[str, Any] = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
    except (RuntimeError, EOFError, LookupError, ValueError, TypeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} holds no checkpoint: {error}") from error
    return content
