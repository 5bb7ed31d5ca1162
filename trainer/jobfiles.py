"""What lies in the directory of a job, by name; torch-free, so that a driver can look and tidy up."""

from pathlib import Path

CHECKPOINT = "checkpoint.pt"
PREVIOUS_CHECKPOINT = "checkpoint.previous.pt"
INCOMING_CHECKPOINT = "checkpoint.incoming.pt"  # whole, and about to take the place of the newest
CHECKPOINTS = (INCOMING_CHECKPOINT, CHECKPOINT, PREVIOUS_CHECKPOINT)  # in the order in which they are believed
PREDICTIONS = "predictions.npz"  # of the validation images scored last: logits (N, K), labels (N,)
TEST_PREDICTIONS = "test_predictions.npz"
WEIGHTS = "weights.safetensors"
SAMPLES = "augmented.png"  # training images as the job augments them, where it does


def remove_leftovers(directory: Path) -> None:
    """Delete what a worker was writing when it was killed: such files are never read."""
    for path in directory.glob(".*"):
        path.unlink(missing_ok=True)


def remove_checkpoints(directory: Path) -> None:
    """Delete the checkpoints of a job that nobody will go on with; its weights stay."""
    for name in CHECKPOINTS:
        (directory / name).unlink(missing_ok=True)


def remove_state(directory: Path) -> None:
    """Delete checkpoints and weights of a job that nobody will go on with; its predictions and pictures stay."""
    remove_checkpoints(directory)
    (directory / WEIGHTS).unlink(missing_ok=True)
