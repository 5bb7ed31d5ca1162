"""The file that says which package is in service: written by one process, watched by the workers."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class InService:
    """A package, and what people call it."""

    folder: str
    model: str  # as the command line named it
    version: str | None  # in the registry

    def __str__(self) -> str:
        return self.model if self.version is None else f"{self.model} (version {self.version})"


def point_at(pointer: Path, package: InService) -> None:
    """Write the file as a whole: who reads it sees the former one or this one."""
    handle, name = tempfile.mkstemp(dir=pointer.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(package), file)
    os.replace(name, pointer)  # noqa: PTH105


def read_pointer(pointer: Path) -> InService:
    """Return what is in service."""
    return InService(**json.loads(pointer.read_text(encoding="utf-8")))
