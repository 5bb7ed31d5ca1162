"""One process of a team that trains a job together: `torchrun -m trainer.member ORDER_FILE`."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import torch.distributed as dist

from trainer.job import carry_out
from trainer.launch import from_file
from trainer.results import Failed, JobEvent, to_record
from trainer.team import join


def main() -> None:
    """Carry out this process's part of an order; the first process reports, and any that fails says why."""
    order = from_file(Path(sys.argv[1]))
    stopping, failed = threading.Event(), threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's: it asks each worker to stop
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    team = join(order.config.runtime.device)

    def emit(event: JobEvent) -> None:
        if isinstance(event, Failed):
            failed.set()
        elif not team.leads:
            return
        try:
            os.write(1, json.dumps(to_record(event)).encode() + b"\n")  # in one piece, as others may write, too
        except OSError:  # nobody reads it any more
            stopping.set()

    carry_out(order, emit=emit, should_stop=stopping.is_set, team=team)
    if failed.is_set():
        os._exit(1)  # the others wait for this one: torchrun ends them
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
