from pathlib import Path

from trainer import jobfiles
from trainer.jobfiles import remove_state

STATE = {
    jobfiles.CHECKPOINT,
    jobfiles.PREVIOUS_CHECKPOINT,
    jobfiles.INCOMING_CHECKPOINT,
    jobfiles.WEIGHTS,
}
KEPT = {jobfiles.PREDICTIONS, jobfiles.TEST_PREDICTIONS, jobfiles.SAMPLES}


def test_a_job_that_nobody_goes_on_with_keeps_its_predictions_and_pictures(tmp_path: Path) -> None:
    for name in STATE | KEPT:
        (tmp_path / name).write_bytes(b"content")

    remove_state(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == KEPT


def test_removing_what_is_gone_does_nothing(tmp_path: Path) -> None:
    remove_state(tmp_path)
    remove_state(tmp_path / "absent")

    assert list(tmp_path.iterdir()) == []
