"""Starts a team for one training job, and passes on what it reports.

The team is torchrun's: a process that dies ends the others. It stops as a lone job does, leaving a checkpoint, also
when it finds that nobody reads its reports any more.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from trainer.config import flat, job_config
from trainer.orders import TrainOrder
from trainer.results import Failed, JobEvent, Reached, Stopped, from_record

MEMBER = "trainer.member"
SECONDS_BETWEEN_LOOKS = 0.25
TOLD_OF_ERRORS = 2000  # characters of what the team has written on its way out


def launch(order: TrainOrder, *, emit: Callable[[JobEvent], None], should_stop: Callable[[], bool]) -> None:
    """Have as many processes as the job asks for carry out an order; the last event says how it ended."""
    with tempfile.TemporaryDirectory() as place, (Path(place) / "errors").open("w+") as errors:
        file = Path(place) / "order.json"
        file.write_text(json.dumps(as_record(order)))
        threads = str(order.config.runtime.threads)
        with subprocess.Popen(  # noqa: S603  -- Python itself, on our own module
            _command(file, order.config.runtime.processes),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": threads},
        ) as team:
            threading.Thread(target=_stop_in_time, args=(team, should_stop), daemon=True).start()
            assert team.stdout is not None, "it was asked for"
            has_ended = _pass_on(team.stdout, emit)
        if not has_ended:
            emit(_broken(team.returncode, errors))


def as_record(order: TrainOrder) -> dict[str, object]:
    """Return an order as values that JSON can hold; `from_file` takes them back."""
    return {
        "config": flat(order.config),
        "data_root": str(order.data_root),
        "directory": str(order.directory),
        "until": order.until,
        "limits": dict(order.limits),
        "is_to_be_weighed": order.is_to_be_weighed,
        "born_at": order.born_at,
    }


def from_file(path: Path) -> TrainOrder:
    """Read an order."""
    record = json.loads(path.read_text())
    return TrainOrder(
        config=job_config(record["config"]),
        data_root=Path(record["data_root"]),
        directory=Path(record["directory"]),
        until=record["until"],
        limits=record["limits"],
        is_to_be_weighed=record["is_to_be_weighed"],
        born_at=record["born_at"],
    )


def _command(file: Path, processes: int) -> list[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [sys.executable, *torchrun, "-m", MEMBER, str(file)]


def _stop_in_time(team: "subprocess.Popen[str]", should_stop: Callable[[], bool]) -> None:
    """Ask the team to leave a checkpoint as soon as somebody wants it to stop; torchrun hands the signal on."""
    while team.poll() is None:
        if should_stop():
            team.terminate()
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _pass_on(lines: IO[str], emit: Callable[[JobEvent], None]) -> bool:
    """Emit what the team reports up to an end; return whether there was one. What follows an end is its echo."""
    has_ended = False
    for event in _events(lines):
        if not has_ended:
            emit(event)
        has_ended = has_ended or isinstance(event, Reached | Stopped | Failed)
    return has_ended


def _events(lines: IO[str]) -> Iterator[JobEvent]:
    return (from_record(json.loads(line)) for line in lines if line.startswith('{"kind"'))


def _broken(code: int, errors: IO[str]) -> Failed:
    errors.seek(0)
    told = errors.read()[-TOLD_OF_ERRORS:]
    message = f"The processes of this job ended with code {code} and no word. The last they wrote:\n{told}"
    return Failed(reason="crashed", message=message, traceback="", at=time.time())
