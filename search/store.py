"""Where things lie in a store directory, and what a study may be called."""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from search.errors import StudyError
from search.eventlog import FILE, read
from search.trials import Trial, fold

RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)  # aliases that MLflow gives itself
OWNER = "study.uid"  # file in the directory of a study that says whose logs lie there
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Store:
    """A directory that holds everything about its studies."""

    root: Path

    @property
    def study_url(self) -> str:
        """Address of the default study database."""
        return sqlite_url(self.root.resolve() / "optuna.db")

    @property
    def tracking_uri(self) -> str:
        """Address of the default tracking database."""
        return sqlite_url(self.root.resolve() / "mlflow.db")

    @property
    def tracking_lock(self) -> Path:
        """Return the file that processes lock while they make what the tracking store must hold once."""
        return self.root / "mlflow.lock"

    @property
    def artifacts(self) -> Path:
        """Artifacts of the tracking database."""
        return self.root.resolve() / "artifacts"

    def study(self, name: str) -> Path:
        """Directory of a study's jobs."""
        return self.root / "jobs" / name

    def job(self, study: str, number: int) -> Path:
        """Directory of one trial's log, checkpoints and predictions."""
        return self.study(study) / str(number)

    def log(self, study: str, number: int) -> Path:
        """File of one trial's event log."""
        return self.job(study, number) / FILE

    def race(self, study: str) -> Path:
        """Directory of the finalists' repeats, each in one of its own."""
        return self.study(study) / "race"

    def trials(self, study: str) -> list[Trial]:
        """Read all trials of a study out of their logs, by number."""
        return read_logs(self.study(study))


def read_logs(root: Path) -> list[Trial]:
    """Read the trials of which there are logs in numbered directories, by number."""
    found = (fold(read(path)) for path in root.glob(f"[0-9]*/{FILE}"))
    return sorted((trial for trial in found if trial is not None), key=lambda trial: trial.number)


def sqlite_url(path: Path) -> str:
    """Return the address of a SQLite file, whatever letters its path holds."""
    return f"sqlite:///{quote(str(path))}"


def open_store(root: Path) -> Store:
    """Make the directory if it is missing.

    Raises:
        StudyError: If it is no directory, or may not be written.
    """
    make_writable(root, what="store", option="--store")
    return Store(root)


def make_writable(root: Path, *, what: str, option: str) -> None:
    """Make a directory if it is missing.

    Args:
        root: Its path.
        what: It is, in the words of a message.
        option: That names it.

    Raises:
        StudyError: If it is no directory, or may not be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / ".writable"
        probe.touch()
        probe.unlink()
    except (FileExistsError, NotADirectoryError):
        raise StudyError(f"The {what} {str(root)!r} is a file. Name a directory with {option}.") from None
    except OSError as error:
        raise StudyError(
            f"The {what} {str(root)!r} can't be written ({error.strerror}). Name another directory with {option}."
        ) from None


def open_existing_store(root: Path) -> Store:
    """Open a store that is only read.

    Raises:
        StudyError: If there is no such directory.
    """
    if not root.is_dir():
        raise StudyError(f"There is no store at {str(root)!r}. Search first, or name its directory with --store.")
    return Store(root)


def check_place(directory: Path, uid: str | None, *, num_trials: int) -> str:
    """Check that the logs of a study lie here; a new study is given this place, which is marked as its own.

    Args:
        directory: Of the study in this store.
        uid: Of the study, as its database has it; None for a new one.
        num_trials: That its database knows.

    Returns:
        The study's uid, a new one for a new study.

    Raises:
        StudyError: If they lie elsewhere: another driver shares the database, but not the store. If those of another
            database lie here.
    """
    mark = directory / OWNER
    known = mark.read_text() if mark.exists() else ""
    has_logs = any(directory.glob(f"[0-9]*/{FILE}"))
    if uid is None and has_logs:
        raise StudyError(
            f"In {str(directory)!r} are the logs of a study that this database does not know. It is another database, "
            f"or it was emptied: name the right one with --storage, or search under another name with --study."
        )
    if uid is None or (has_logs and not known):
        uid = uid or uuid.uuid4().hex
        mark.write_text(uid)
    elif known != uid:
        raise StudyError(
            f"The study's database tells of {num_trials} trials, and its logs are not in {str(directory)!r}. "
            f"Drivers of one study share its store: name it with --store, or search under another name with --study."
        )
    return uid


def check_model_name(name: str) -> str:
    """Return the name of a model or an alias if a registry takes it.

    Raises:
        StudyError: If it does not.
    """
    if not NAME.fullmatch(name) or ".." in name or RESERVED.fullmatch(name):
        raise StudyError(
            f"A model or alias can't be called {name[:80]!r}. Use 1 to 64 letters, digits, dots, hyphens and "
            f"underscores, beginning with a letter or digit; MLflow keeps `latest` and `v1`, `v2`, ... for itself."
        )
    return name


def check_study_name(name: str) -> str:
    """Return the name of a study if it can name files, experiments and models everywhere.

    Raises:
        StudyError: If it holds anything but letters, digits, dots, hyphens and underscores, or is too long.
    """
    if not NAME.fullmatch(name) or ".." in name:
        shown = name if len(name) <= 80 else f"{name[:77]}..."
        raise StudyError(
            f"A study can't be called {shown!r}. Use 1 to 64 letters, digits, dots, hyphens and underscores, "
            f"beginning with a letter or digit, such as --study cifar10-2."
        )
    return name
