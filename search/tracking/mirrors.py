"""All that a search shows its trials to: the tracking store, and event files where they are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from search.errors import StudyError
from search.request import Request
from search.store import Store, make_writable
from search.tracking.base import DataCard, StudyCard
from search.tracking.connect import connect, open_event_files
from search.tracking.process import TrackingProcess
from search.tracking.uploader import Uploader
from search.trials import Trial

OWNER = "study.uid"  # file that says whose event files lie beside it


@dataclass(frozen=True, slots=True)
class Mirrors:
    """A tracker that tells each of its uploaders; they fail and recover by themselves."""

    tracking: Uploader
    event_files: Uploader | None

    def show(self, trial: Trial) -> None:
        """Make the trial look like this everywhere, soon."""
        for uploader in self._all():
            uploader.show(trial)

    def show_study(self, card: StudyCard) -> None:
        """Make the study look like this everywhere, soon."""
        for uploader in self._all():
            uploader.show_study(card)

    def close(self, *, timeout_seconds: float) -> None:
        """Show what is due, the files for at most this long and then the tracking store."""
        for uploader in reversed(self._all()):
            uploader.close(timeout_seconds=timeout_seconds)

    def seconds_behind(self, trials: Sequence[Trial]) -> float:
        """Return how long it will take until all that is due, and the end of trials without one, is shown.

        The store is looked after by one thread and the files by another, but `close` waits for one after the other.
        """
        num_open = sum(not trial.state.is_over for trial in trials)
        return sum(uploader.seconds_behind(num_open) for uploader in self._all())

    def addresses(self, number: int | None) -> Mapping[str, str]:
        """Return the ids under which the tracking store knows the experiment, the study and a trial."""
        return self.tracking.addresses(number)

    @property
    def num_not_uploaded(self) -> int:
        """Return how many looks the tracking store could not be shown yet."""
        return self.tracking.num_due

    @property
    def num_not_written(self) -> int:
        """Return how many looks could not be written to event files yet."""
        return self.event_files.num_due if self.event_files else 0

    def _all(self) -> list[Uploader]:
        return [self.tracking, self.event_files] if self.event_files else [self.tracking]


def check_tensorboard(directory: Path | None) -> None:
    """Make the directory for event files, if one was asked for.

    Raises:
        StudyError: If TensorBoard is not installed, or the directory can't be written.
    """
    if directory is None:
        return
    if find_spec("tensorboard") is None:
        raise StudyError(
            "--tensorboard writes event files with the package `tensorboard`, which is not installed. "
            "Install it, or leave the option out: pip install 'autoclf[tensorboard]'"
        )
    make_writable(directory, what="TensorBoard directory", option="--tensorboard")


def open_mirrors(store: Store, request: Request, *, uid: str, data: DataCard, class_names: tuple[str, ...]) -> Mirrors:
    """Begin to show a study.

    Raises:
        StudyError: If the event files of its name are another study's.
    """
    files = None
    if request.tensorboard is not None:
        root = _claimed(request.tensorboard / request.study, uid)
        writing = partial(open_event_files, root, store, request.study, class_names)
        files = Uploader(TrackingProcess(writing), to=f"Writing to {root}")
    tracking = partial(connect, store, request.tracking_uri, request.study, uid, data, class_names)
    return Mirrors(Uploader(TrackingProcess(tracking)), files)


def _claimed(root: Path, uid: str) -> Path:
    """Return the folder of a study's event files, which is its own from now on."""
    root.mkdir(parents=True, exist_ok=True)
    owner = root / OWNER
    known = owner.read_text() if owner.exists() else ""
    if not known:
        owner.write_text(uid)
    elif known != uid:
        raise StudyError(
            f"{str(root)!r} holds the event files of another study of this name. Delete it, or name another directory "
            f"with --tensorboard or another study with --study."
        )
    return root
