"""What a running search writes to standard output."""

import json
from pathlib import Path

import pytest

from autoclf.live import watcher
from search.notices import Notice
from search.request import Request
from spaces import load_space


def test_lines_of_json_stay_alone_whatever_a_library_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = Request(
        space=load_space("digits"), space_text="", study="digits", source="digits", max_trials=1, timeout_seconds=None,
        store=tmp_path, storage=None, tracking_uri=None, workers=1, device="cpu", seed=0, data_dir=tmp_path,
        cache=tmp_path,
    )  # fmt: skip

    with watcher(request, as_json=True) as watch:
        watch(Notice(kind="search"))
        print("(raylet) a node died")  # noqa: T201

    printed = capsys.readouterr()
    assert [json.loads(line)["event"] for line in printed.out.splitlines()] == ["search"]
    assert printed.err == "(raylet) a node died\n"
