"""A trial's own log: one checked line an event, only ever appended to.

Each line is the CRC-32 of its JSON in eight hexadecimal digits, a blank and the JSON. A line that a crash or a full
disk cut short fails its check; it and what follows are dropped, and the next append starts where it began.
"""

import json
import zlib
from pathlib import Path
from typing import Any

Record = dict[str, Any]
FILE = "events.log"


def append(path: Path, record: Record) -> None:
    """Add one record; it survives the death of this process from here on.

    Raises:
        OSError: If the disk refuses.
    """
    line = _line(record)
    with path.open("r+b" if path.exists() else "w+b") as file:
        end = _sound_length(path)
        file.truncate(end)
        file.seek(end)
        file.write(line)
        file.flush()


def read(path: Path) -> list[Record]:
    """Return the sound records in order; none if there is no file."""
    if not path.exists():
        return []
    records = []
    for line in path.read_bytes().splitlines(keepends=True):
        record = _parse(line)
        if record is None:
            break
        records.append(record)
    return records


def _line(record: Record) -> bytes:
    text = json.dumps(record, separators=(",", ":"), allow_nan=True)
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


def _parse(line: bytes) -> Record | None:
    """Return the record of a line, or None if the line is torn or altered."""
    check, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or check != f"{zlib.crc32(text):08x}".encode():
        return None
    record: Record = json.loads(text)
    return record


def _sound_length(path: Path) -> int:
    length = 0
    for line in path.read_bytes().splitlines(keepends=True):
        if _parse(line) is None:
            break
        length += len(line)
    return length
