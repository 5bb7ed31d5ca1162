"""Event files of a study for TensorBoard: one folder a trial, made to look as told.

A file is only appended to. One that a kill or a full disk has torn, or that does not fit the trial's log, is followed
by a new one, which says that what came before is void; then the old one is deleted. So nothing is missing in what
TensorBoard shows, and nothing doubled.
"""

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from search.book import step_of
from search.store import Store
from search.tracking.base import StudyCard
from search.tracking.figures import confusion_picture
from search.trials import State, Trial
from trainer.config import flat
from trainer.jobfiles import PREDICTIONS
from trainer.results import EpochResult

FILES = "events.out.tfevents.*.autoclf"  # TensorBoard reads what begins so, in the order of the names
VERSION = "brain.Event:2"
PICTURE = "confusion_matrix"
LENGTH = struct.Struct("<Q")  # a record begins with that of its data
HEADER_BYTES = 12  # of a record: the length and its check
CHECK_BYTES = 4  # after the data


@dataclass(slots=True)
class _File:
    """The event file of a trial, and what it is known to hold."""

    path: Path
    steps: list[int] = field(default_factory=list)
    is_ended: bool = False
    step_of_picture: int = 0


@dataclass(slots=True, kw_only=True)
class EventFiles:
    """The event files of one study; every call may raise an OSError."""

    root: Path  # of the study
    store: Store
    name: str
    class_names: tuple[str, ...]
    _files: dict[int, _File] = field(default_factory=dict)

    def show(self, trial: Trial) -> None:
        """Make the trial's event file look like this, all but its picture."""
        folder = self.root / str(trial.number)
        file = self._files.pop(trial.number, None) or _adopted(folder, trial)  # known again when all was written
        fresh = trial.results[len(file.steps) if file else 0 :]
        events = [_scalars(result) for result in fresh]
        if trial.state.is_over and not (file and file.is_ended):
            events.append(_end(trial))
        if file:
            _append(file.path, events)
        else:
            file = _begin(folder, [*_beginning(trial), *events])
        file.steps += [step_of(result.epoch) for result in fresh]
        file.is_ended = trial.state.is_over
        self._files[trial.number] = file

    def needs_files(self, trial: Trial) -> bool:
        """Say whether the trial has reached a rung of which there is no picture yet."""
        file = self._files.get(trial.number)
        return file is not None and bool(trial.reached) and step_of(trial.reached[-1]) > file.step_of_picture

    def show_files(self, trial: Trial) -> None:
        """Draw the trial's confusion matrix."""
        predictions = self.store.job(self.name, trial.number) / PREDICTIONS
        picture = confusion_picture(trial.number, predictions=predictions, class_names=self.class_names)
        if trial.number not in self._files:  # what was written of the picture last time has torn the file
            self.show(trial)
        file = self._files.pop(trial.number)
        step = step_of(trial.reached[-1])
        _append(file.path, [_picture(picture, step=step, at=trial.results[-1].finished_at)])
        file.step_of_picture = step
        self._files[trial.number] = file

    def show_study(self, card: StudyCard) -> None:
        """Do nothing: the study has no event file."""

    def addresses(self, number: int | None) -> dict[str, str]:
        """Return nothing: TensorBoard knows trials by their folders."""
        return {}


def _adopted(folder: Path, trial: Trial) -> _File | None:
    """Return the file that an earlier process left, if it is sound and holds nothing but what this trial did."""
    paths = sorted(folder.glob(FILES))
    events = _read(paths[0]) if len(paths) == 1 else None
    if events is None:
        return None
    file = _File(paths[0])
    for event in events:
        tag = event.summary.value[0].tag if event.summary.value else ""
        if tag == PICTURE:
            file.step_of_picture = event.step
        elif tag == metadata.SESSION_END_INFO_TAG:
            file.is_ended = True
        elif tag and tag != metadata.SESSION_START_INFO_TAG:
            file.steps.append(event.step)
    known = [step_of(result.epoch) for result in trial.results]
    is_ahead = file.is_ended and not trial.state.is_over  # of a log that a crash has shortened
    return None if is_ahead or file.steps != known[: len(file.steps)] else file


def _read(path: Path) -> list[Event] | None:
    """Return the events of a file, or None if a record is torn or altered."""
    content, place, events = path.read_bytes(), 0, []
    while place < len(content):
        start = place + HEADER_BYTES
        if start > len(content):
            return None
        end = start + LENGTH.unpack_from(content, place)[0]
        if content[place : end + CHECK_BYTES] != _record(content[start:end]):
            return None
        events.append(Event.FromString(content[start:end]))
        place = end + CHECK_BYTES
    return events or None


def _record(data: bytes) -> bytes:
    """Return data as it stands in a file, with its length and checks."""
    content = io.BytesIO()
    RecordWriter(content).write(data)
    return content.getvalue()


def _begin(folder: Path, events: Iterable[Event]) -> _File:
    """Write the next file of a folder, and delete those before it."""
    folder.mkdir(parents=True, exist_ok=True)
    before = sorted(folder.glob(FILES))
    number = 1 + max((int(path.name.split(".")[3]) for path in before), default=0)
    path = folder / FILES.replace("*", f"{number:010d}")
    try:
        _append(path, events)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    for old in before:
        old.unlink(missing_ok=True)
    return _File(path)


def _append(path: Path, events: Iterable[Event]) -> None:
    """Add events in one piece."""
    records = b"".join(_record(event.SerializeToString()) for event in events)
    with path.open("ab") as file:
        file.write(records)


def _beginning(trial: Trial) -> Iterator[Event]:
    """Yield the version, a restart that makes void what other files hold, and the hyperparameters."""
    yield Event(wall_time=trial.created_at, file_version=VERSION)
    yield Event(wall_time=trial.created_at, step=0, session_log=SessionLog(status=SessionLog.START))
    settings = {path: value for path, value in flat(trial.config).items() if value is not None}
    summary = hparams_pb(settings, trial_id=trial.uid, start_time_secs=trial.created_at)
    yield Event(wall_time=trial.created_at, summary=summary)


def _scalars(result: EpochResult) -> Event:
    values = [Summary.Value(tag=name, simple_value=value) for name, value in result.metrics().items()]
    return Event(wall_time=result.finished_at, step=step_of(result.epoch), summary=Summary(value=values))


def _end(trial: Trial) -> Event:
    assert trial.ended_at is not None
    status = api_pb2.STATUS_FAILURE if trial.state is State.FAILED else api_pb2.STATUS_SUCCESS
    data = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=trial.ended_at))
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return Event(wall_time=trial.ended_at, summary=Summary(value=[value]))


def _picture(png: bytes, *, step: int, at: float) -> Event:
    width, height = struct.unpack(">II", png[16:24])  # the first chunk of a PNG begins with them
    image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
    return Event(wall_time=at, step=step, summary=Summary(value=[Summary.Value(tag=PICTURE, image=image)]))
