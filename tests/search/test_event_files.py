"""What TensorBoard reads of a study, whatever happened to its event files."""

import resource
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import NAME, after, new_trial, ordered, result, trial_at
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.metadata import (
    PLUGIN_NAME,
    SESSION_END_INFO_TAG,
    SESSION_START_INFO_TAG,
    parse_session_end_info_plugin_data,
    parse_session_start_info_plugin_data,
)

from search import trials
from search.store import Store
from search.tracking.base import Runs
from search.tracking.event_files import EventFiles
from search.trials import State, Trial
from trainer.config import flat
from trainer.jobfiles import PREDICTIONS

EVERYTHING = {"scalars": 0, "images": 0, "tensors": 0}  # nothing is left out of a sample
LONG = trial_at(0, {1.0: 0.5, 3.0: 0.6, 9.0: 0.7}, ended=State.COMPLETE)
Open = Callable[[], EventFiles]


@pytest.fixture
def open_files(tmp_path: Path, store: Store) -> Open:
    """Begin as another process does: with nothing but the files."""

    def begin() -> EventFiles:
        return EventFiles(root=tmp_path / "board", store=store, name=NAME, class_names=("ant", "bee"))

    return begin


def _board(root: Path, number: int = 0) -> EventAccumulator:
    """What TensorBoard shows of a trial."""
    return EventAccumulator(str(root / str(number)), size_guidance=EVERYTHING).Reload()


def _shown(root: Path, trial: Trial) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in _board(root, trial.number).Scalars("val/accuracy")]


def _expected(trial: Trial) -> list[tuple[int, float]]:
    """Steps and values, as exact as an event holds them."""
    return [(round(100 * one.epoch), float(np.float32(one.val_accuracy))) for one in trial.results]


def _paths(root: Path, number: int = 0) -> list[Path]:
    return sorted((root / str(number)).iterdir())


def _save_predictions(store: Store, number: int) -> None:
    store.job(NAME, number).mkdir(parents=True, exist_ok=True)
    np.savez(
        store.job(NAME, number) / PREDICTIONS,
        logits=np.eye(2, dtype=np.float32)[[0, 1, 1]],
        labels=np.array([0, 1, 0]),
    )


def test_every_metric_is_shown_at_its_step_and_time(open_files: Open) -> None:
    files = open_files()
    runs: Runs = files
    trial = after(new_trial(), ordered(2.0), replace(result(0.5, 0.25), finished_at=50.0), result(2.0, 0.75))

    runs.show(trial)

    board = _board(files.root)
    assert set(board.Tags()["scalars"]) == set(trial.results[0].metrics())
    assert _shown(files.root, trial) == [(50, 0.25), (200, 0.75)]
    assert [event.wall_time for event in board.Scalars("val/loss")] == [50.0, 0.0]


def test_results_that_come_later_are_added_to_the_same_file(open_files: Open) -> None:
    files = open_files()

    for trial in (new_trial(), trial_at(0, {1.0: 0.5}), trial_at(0, {1.0: 0.5, 3.0: 0.6}), LONG, LONG):
        files.show(trial)

    assert _shown(files.root, LONG) == _expected(LONG)
    assert len(_paths(files.root)) == 1


def test_a_trial_is_a_session_with_its_settings(open_files: Open) -> None:
    files = open_files()
    trial = new_trial()

    files.show(trial)

    content = _board(files.root).PluginTagToContent(PLUGIN_NAME)[SESSION_START_INFO_TAG]
    info = parse_session_start_info_plugin_data(content)
    told = {name: getattr(value, str(value.WhichOneof("kind"))) for name, value in info.hparams.items()}
    assert told == flat(trial.config)
    assert (info.group_name, info.start_time_secs) == (trial.uid, trial.created_at)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.COMPLETE, api_pb2.STATUS_SUCCESS),
        (State.PRUNED, api_pb2.STATUS_SUCCESS),
        (State.FAILED, api_pb2.STATUS_FAILURE),
    ],
)
def test_the_end_of_a_trial_is_told_once(open_files: Open, state: State, status: int) -> None:
    files = open_files()
    running = trial_at(0, {1.0: 0.5}, going_to=3.0)
    files.show(running)
    assert SESSION_END_INFO_TAG not in _board(files.root).PluginTagToContent(PLUGIN_NAME)

    ended = after(running, trials.ended(state, at=7.0))
    files.show(ended)
    files.show(ended)
    open_files().show(ended)

    board = _board(files.root)
    info = parse_session_end_info_plugin_data(board.PluginTagToContent(PLUGIN_NAME)[SESSION_END_INFO_TAG])
    assert (info.status, info.end_time_secs) == (status, 7.0)
    assert len(board.Tensors(SESSION_END_INFO_TAG)) == 1


def test_the_picture_of_each_rung_is_shown(open_files: Open, store: Store) -> None:
    files = open_files()
    _save_predictions(store, 0)
    for trial in (trial_at(0, {1.0: 0.5}), LONG):
        files.show(trial)
        assert files.needs_files(trial)
        files.show_files(trial)
        assert not files.needs_files(trial)

    images = _board(files.root).Images("confusion_matrix")

    assert [image.step for image in images] == [100, 900]
    width, height = struct.unpack(">II", images[0].encoded_image_string[16:24])
    assert (images[0].width, images[0].height) == (width, height)
    assert width > 300


def test_a_trial_that_has_reached_no_rung_needs_no_picture(open_files: Open) -> None:
    files = open_files()

    files.show(after(new_trial(), ordered(1.0), result(0.5)))

    assert not files.needs_files(new_trial())


def test_another_process_goes_on_with_a_sound_file_and_draws_nothing_anew(open_files: Open, store: Store) -> None:
    files, trial = open_files(), trial_at(0, {1.0: 0.5, 3.0: 0.6})
    _save_predictions(store, 0)
    files.show(trial)
    files.show_files(trial)
    (path,) = _paths(files.root)
    before = path.read_bytes()

    later = open_files()
    later.show(trial)
    assert not later.needs_files(trial)
    assert path.read_bytes() == before
    later.show(LONG)

    assert _paths(files.root) == [path]
    assert _shown(files.root, LONG) == _expected(LONG)


@given(share=st.floats(0, 1), zeros=st.integers(0, 40))
def test_whatever_a_crash_left_nothing_is_missing_and_nothing_doubled(
    tmp_path_factory: pytest.TempPathFactory, share: float, zeros: int
) -> None:
    root = tmp_path_factory.mktemp("board")

    def begin() -> EventFiles:
        return EventFiles(root=root, store=Store(root), name=NAME, class_names=())

    begin().show(trial_at(0, {1.0: 0.5, 3.0: 0.6}))
    (path,) = _paths(root)
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole))] + bytes(zeros))  # of a file system that lost its last pages

    begin().show(LONG)

    assert _shown(root, LONG) == _expected(LONG)
    assert len(_paths(root)) == 1
    shutil.rmtree(root)


def test_a_kill_before_the_old_file_was_deleted_doubles_nothing(open_files: Open) -> None:
    files = open_files()
    files.show(trial_at(0, {1.0: 0.5, 3.0: 0.6}))
    (path,) = _paths(files.root)
    torn = path.read_bytes()[:-3]
    path.write_bytes(torn)
    open_files().show(trial_at(0, {1.0: 0.5, 3.0: 0.6}))
    path.write_bytes(torn)
    assert len(_paths(files.root)) == 2
    assert _shown(files.root, LONG) == _expected(LONG)[:2], "the newer file makes the older one void"

    open_files().show(LONG)

    assert len(_paths(files.root)) == 1
    assert _shown(files.root, LONG) == _expected(LONG)


def test_a_file_that_knows_more_than_the_log_is_replaced(open_files: Open) -> None:
    files = open_files()
    files.show(LONG)
    shorter = trial_at(0, {1.0: 0.5}, going_to=3.0)

    open_files().show(shorter)

    assert _shown(files.root, shorter) == _expected(shorter)
    assert SESSION_END_INFO_TAG not in _board(files.root).PluginTagToContent(PLUGIN_NAME)


def test_files_of_others_are_left_alone(open_files: Open) -> None:
    files = open_files()
    (files.root / "0").mkdir(parents=True)
    note = files.root / "0" / "notes.txt"
    note.write_text("mine")

    files.show(LONG)

    assert note.read_text() == "mine"


def test_what_could_not_be_written_is_written_the_next_time(open_files: Open, store: Store) -> None:
    files = open_files()
    _save_predictions(store, 0)
    files.show(trial_at(0, {1.0: 0.5}))
    (path,) = _paths(files.root)
    whole = path.read_bytes()
    path.unlink()
    path.mkdir()  # refuses to be written, even to root
    with pytest.raises(OSError, match="directory"):
        files.show(LONG)
    path.rmdir()
    path.write_bytes(whole[:-1])

    files.show(LONG)
    files.show_files(LONG)

    assert _shown(files.root, LONG) == _expected(LONG)
    assert len(_board(files.root).Images("confusion_matrix")) == 1


def test_a_picture_that_tore_the_file_is_drawn_again_with_all_the_rest(open_files: Open, store: Store) -> None:
    files = open_files()
    _save_predictions(store, 0)
    files.show(LONG)
    (path,) = _paths(files.root)
    whole = path.read_bytes()
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        files.show_files(LONG)
    path.rmdir()
    path.write_bytes(whole + b"torn")

    files.show_files(LONG)

    assert _shown(files.root, LONG) == _expected(LONG)
    assert len(_board(files.root).Images("confusion_matrix")) == 1


@contextmanager
def _room_for(num_bytes: int) -> Iterator[None]:
    """Let this process write no file beyond a size, as if the disk were full there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_half_file_and_no_half_record_for_long(open_files: Open) -> None:
    files = open_files()
    with _room_for(100), pytest.raises(OSError, match="too large"):
        files.show(new_trial())
    assert _paths(files.root) == []
    files.show(trial_at(0, {1.0: 0.5}))
    (path,) = _paths(files.root)
    with _room_for(path.stat().st_size + 10), pytest.raises(OSError, match="too large"):
        files.show(LONG)

    files.show(LONG)

    assert len(_paths(files.root)) == 1
    assert _shown(files.root, LONG) == _expected(LONG)


def test_trials_have_folders_of_their_own(open_files: Open) -> None:
    files = open_files()
    other = trial_at(1, {1.0: 0.9})

    for trial in (LONG, other):
        files.show(trial)

    assert _shown(files.root, LONG) == _expected(LONG)
    assert _shown(files.root, other) == _expected(other)
    assert files.addresses(0) == {}
