"""What may be wrong with an installation, a machine or a store, and what to do about it."""

import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from urllib.parse import unquote

from search.cards import versions
from search.errors import StudyError
from search.plan import num_cores
from search.storage import hide_password, open_storage
from search.store import Store
from search.study import study_names

SMALL_DISK_BYTES = 2 * 2**30
ANSWER_SECONDS = 5


class Severity(IntEnum):
    """How bad a finding is."""

    GOOD = 0
    NOTE = 1
    FAULT = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    found: str
    severity: Severity = Severity.GOOD
    remedy: str = ""


def examine(
    *, store: Path, storage: str | None, tracking_uri: str | None, data_dir: Path, cache: Path, device: str
) -> Iterator[Finding]:
    """Yield what is found, one subject after the other."""
    yield _python()
    yield Finding("versions", ", ".join(f"{name} {found}" for name, found in versions().items() if name != "python"))
    yield from _device(device)
    yield from _torchvision()
    yield _cifar10(data_dir)
    yield _disk(cache, "cache")
    yield _disk(store, "store")
    yield _studies(storage or Store(store).study_url)
    yield _tracking(tracking_uri or Store(store).tracking_uri)


def _python() -> Finding:
    return Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _device(wanted: str) -> Iterator[Finding]:
    import torch

    from trainer.devices import fastest_precision, matmul_rate, resolve_device, visible_devices
    from trainer.errors import ConfigError

    try:
        device = resolve_device(wanted)
    except ConfigError as error:
        yield Finding("device", str(error), Severity.FAULT, "Leave out --device, or name one that is there.")
        return
    yield Finding("device", f"{device} (of {', '.join(visible_devices())}), {num_cores()} cores")
    precision = fastest_precision(device)
    if device.type == "cpu":
        rates = {str(dtype).removeprefix("torch."): matmul_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
        shown = ", ".join(f"{name} {rate:,.0f} GFLOP/s" for name, rate in rates.items())
        yield Finding("precision", f"{precision} (small matrices: {shown})")
    else:
        yield Finding("precision", precision)


def _torchvision() -> Iterator[Finding]:
    from trainer.libraries import has_compiled_operators

    if not has_compiled_operators():
        yield Finding(
            "torchvision",
            "its compiled operators do not load beside this torch",
            Severity.NOTE,
            "autoclf needs none of them; for detection models install a matching pair of torch and torchvision.",
        )


def _cifar10(data_dir: Path) -> Finding:
    for name in ("cifar10.npz", "cifar-10-batches-py", "cifar-10-python.tar.gz"):
        if (data_dir / name).exists():
            return Finding("cifar10", f"at {data_dir / name}")
    return Finding(
        "cifar10",
        f"not in {data_dir}",
        Severity.NOTE,
        "The first search that needs it downloads it there; offline, put cifar-10-python.tar.gz there yourself.",
    )


def _disk(path: Path, subject: str) -> Finding:
    existing = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    found = f"{path}, {free / 2**30:.1f} GiB free"
    if free < SMALL_DISK_BYTES:
        return Finding(subject, found, Severity.FAULT, "Make room, or choose another disk.")
    return Finding(subject, found)


def _studies(url: str) -> Finding:
    shown = hide_password(url)
    if url.startswith("sqlite:///") and not Path(unquote(url.removeprefix("sqlite:///"))).exists():
        return Finding("studies", f"none yet ({shown})")
    try:
        names = study_names(open_storage(url, read_only=True))
    except StudyError as error:
        return Finding("studies", str(error), Severity.FAULT)
    return Finding("studies", f"{len(names)} in {shown}{': ' + ', '.join(names) if names else ''}")


def _tracking(uri: str) -> Finding:
    shown = hide_password(uri)
    if uri.startswith("http"):
        return _server(uri)
    if not uri.startswith("sqlite:///"):
        return Finding("tracking", shown)
    path = Path(unquote(uri.removeprefix("sqlite:///")))
    if not path.exists():
        return Finding("tracking", f"none yet ({shown})")
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=ANSWER_SECONDS) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check").fetchone()
        connection.close()
    except sqlite3.DatabaseError as error:
        return Finding("tracking", f"{shown}: {error}", Severity.FAULT, "Restore a copy, or begin another store.")
    return Finding("tracking", f"{shown}: {verdict}", Severity.GOOD if verdict == "ok" else Severity.FAULT)


def _server(uri: str) -> Finding:
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"{uri.rstrip('/')}/health", timeout=ANSWER_SECONDS) as answer:  # noqa: S310  -- http by the caller
            status = answer.status
    except (URLError, OSError) as error:
        return Finding(
            "tracking", f"{hide_password(uri)} does not answer: {error}", Severity.FAULT,
            "A search goes on without it and uploads later; start the server, or leave out --tracking-uri.",
        )  # fmt: skip
    return Finding("tracking", f"{hide_password(uri)} answers with {status}")


assert sys.version_info >= (3, 11), "autoclf needs Python 3.11"
