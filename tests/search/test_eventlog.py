"""A trial's log: what was written is read again, whatever a crash left behind it."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.eventlog import append, read

RECORDS = st.lists(
    st.dictionaries(
        st.text(max_size=5),
        st.one_of(st.text(max_size=20), st.integers(), st.floats(allow_nan=False), st.none(), st.booleans()),
        max_size=3,
    ),
    max_size=5,
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.log"


def _write(path: Path, count: int) -> list[dict[str, int]]:
    records = [{"n": number} for number in range(count)]
    for record in records:
        append(path, record)
    return records


@settings(max_examples=50)
@given(records=RECORDS)
def test_what_was_appended_is_read_again(records: list[dict[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.log"

        for record in records:
            append(path, record)

        assert read(path) == records


def test_a_line_break_in_a_text_does_not_end_its_record(log: Path) -> None:
    append(log, {"message": "one\r\ntwo\u2028three\x85four\n"})

    assert read(log) == [{"message": "one\r\ntwo\u2028three\x85four\n"}]


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), 1e-320, 0.1])
def test_unusual_numbers_survive(log: Path, number: float) -> None:
    append(log, {"number": number})

    assert read(log) == [{"number": number}]


def test_nan_survives(log: Path) -> None:
    append(log, {"number": float("nan")})

    assert json.dumps(read(log)) == '[{"number": NaN}]'


def test_a_missing_log_is_empty(log: Path) -> None:
    assert read(log) == []
    assert not log.exists()


def test_an_empty_log_is_empty_and_can_be_written(log: Path) -> None:
    log.touch()

    assert read(log) == []
    append(log, {"n": 0})
    assert read(log) == [{"n": 0}]


@settings(max_examples=50)
@given(cut=st.integers(0, 10_000))
def test_a_cut_drops_the_record_that_it_hits_and_no_other(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.log"
        records = _write(path, 6)
        lines = path.read_bytes().splitlines(keepends=True)
        cut %= path.stat().st_size + 1
        num_whole = sum(sum(map(len, lines[: n + 1])) <= cut for n in range(len(lines)))

        with path.open("r+b") as file:
            file.truncate(cut)

        assert read(path) == records[:num_whole]
        append(path, {"n": "next"})
        append(path, {"n": "last"})
        assert read(path) == [*records[:num_whole], {"n": "next"}, {"n": "last"}]


@pytest.mark.parametrize("rest", [b"\0" * 512, b"0", b"deadbeef {}", b"\xff\xfe", b"zzzzzzzz {}\r\n."])
def test_what_a_disk_leaves_behind_the_end_is_dropped(log: Path, rest: bytes) -> None:
    records = _write(log, 3)
    with log.open("ab") as file:
        file.write(rest)

    assert read(log) == records
    append(log, {"n": 3})
    assert read(log) == [*records, {"n": 3}]


@settings(max_examples=50)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_drops_its_record_and_what_follows(place: int, bit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.log"
        records = _write(path, 6)
        content = bytearray(path.read_bytes())
        place %= len(content)
        num_before = content[:place].count(b"\n")

        content[place] ^= 1 << bit
        path.write_bytes(content)

        assert read(path) == records[:num_before]


def test_what_is_appended_after_a_spoilt_line_is_read(log: Path) -> None:
    records = _write(log, 3)
    log.write_bytes(log.read_bytes().replace(b'"n":2', b'"n":7'))

    append(log, {"n": "next"})

    assert read(log) == [*records[:2], {"n": "next"}]


def test_a_record_is_one_line(log: Path) -> None:
    _write(log, 3)

    assert log.read_bytes().count(b"\n") == 3


def test_a_record_that_json_can_not_hold_is_refused_and_spoils_nothing(log: Path) -> None:
    records = _write(log, 1)

    with pytest.raises(TypeError, match="not JSON serializable"):
        append(log, {"path": Path("x")})

    assert read(log) == records
