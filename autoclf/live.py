"""What a person sees while a search runs: a live table on a terminal, plain lines elsewhere, JSON lines on demand."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autoclf.lines import PHASES, clock, plain_line
from search.book import best_of
from search.names import run_name
from search.notices import Notice, Watch
from search.request import Request
from search.trials import State, Trial

REFRESHES_A_SECOND = 4
# What stays above the live table:
_KEPT = (
    "complete",
    "failed",
    "measured",
    "crowded",
    "short",
    "skipped",
    "dropped",
    "leaks",
    "absent",
    "repeated",
    "no_race",
    "no_refit",
)
BAR_WIDTH = 24


@contextmanager
def watcher(request: Request, *, as_json: bool) -> Iterator[Watch]:
    """Yield what the search shall tell; the display lasts as long as the block."""
    if as_json:
        records = sys.stdout
        with redirect_stdout(sys.stderr):  # where Ray, too, tells of a node that it has lost
            yield lambda notice: _print_json(records, notice)
        return
    console = Console(stderr=False)
    board = Board(request=request)
    if not console.is_terminal:
        yield lambda notice: _print_plain(board, notice)
        return
    with Live(board, console=console, refresh_per_second=REFRESHES_A_SECOND, transient=False) as live:

        def show(notice: Notice) -> None:
            board.note(notice)
            line = plain_line(notice, board.counts())
            if line and notice.kind in _KEPT:
                live.console.print(Text(line))

        yield show


@dataclass(slots=True)
class Board:
    """All that the display shows, kept up to date by notices."""

    request: Request
    trials: dict[int, Trial] = field(default_factory=dict)
    progress: dict[int, tuple[float, float]] = field(default_factory=dict)  # epoch, images a second
    phase: str = "Starting"
    began: float = field(default_factory=time.monotonic)

    def note(self, notice: Notice) -> None:
        """Take note of an event."""
        self.phase = PHASES.get(notice.kind, self.phase)
        if notice.kind in _COUNTED:
            self.phase = f"{_COUNTED[notice.kind]}: {notice.values['done']:,} of {notice.values['total']:,}"
        if notice.kind in _STRETCHES:
            phase = PHASES[_STRETCHES[notice.kind]]
            self.phase = f"{phase}: epoch {notice.values['epoch']:.2f} of {notice.values['epochs']:g}"
        trial = notice.trial
        if trial is None:
            return
        self.trials[trial.number] = trial
        if notice.kind == "progress":
            self.progress[trial.number] = (notice.values["epoch"], notice.values["images_per_second"])
        elif trial.state is not State.RUNNING:
            self.progress.pop(trial.number, None)

    def best(self) -> Trial | None:
        """Return the best trial so far."""
        return best_of(list(self.trials.values()), self.request.space.objective.metric)

    def counts(self) -> str:
        """Return how many trials stand where, in words."""
        counts = Counter(trial.state for trial in self.trials.values())
        parts = [f"{counts[state]} {state.value}" for state in State if counts[state]]
        return f"{len(self.trials)} of {self.request.max_trials} trials: {', '.join(parts) or 'none yet'}"

    def time(self) -> str:
        """Return the time spent, and what is left of a limit."""
        spent = time.monotonic() - self.began
        limit = self.request.timeout_seconds
        left = f", {clock(max(0.0, limit - spent))} left" if limit else ""
        return f"{clock(spent)}{left}"

    def __rich__(self) -> RenderableType:
        """Draw the board."""
        running = [t for t in self.trials.values() if t.state is State.RUNNING]
        if not running:
            return Group(Text(f"{self.phase} ...", style="dim"), self._footer())
        table = Table(box=None, padding=(0, 1), pad_edge=False)
        for heading in ("trial", "", "epoch", "val accuracy", "images/s"):
            table.add_column(heading, header_style="dim")
        for trial in running:
            table.add_row(*self._row(trial))
        return Group(table, self._footer())

    def _row(self, trial: Trial) -> tuple[RenderableType, ...]:
        epochs = self.request.space.budget.epochs
        epoch, rate = self.progress.get(trial.number, (trial.epoch, 0.0))
        last = f"{100 * trial.results[-1].val_accuracy:.2f} %" if trial.results else "-"
        bar = ProgressBar(total=epochs, completed=epoch, width=BAR_WIDTH)
        speed = f"{rate:,.0f}" if rate else "-"
        return run_name(trial), bar, f"{epoch:.2f} / {epochs:g}", last, speed

    def _footer(self) -> Text:
        best = self.best()
        shown = f"best {100 * best.results[-1].val_accuracy:.2f} % ({run_name(best)})" if best else "no result yet"
        return Text(f"{shown}   {self.counts()}   {self.time()}", style="bold")


_STRETCHES = {"racing": "race", "refitting": "refit"}  # notices on the way, and of what
_COUNTED = {
    "decoding": "Decoding images",
    "features": "Showing the images to the frozen network",
}


def _print_plain(board: Board, notice: Notice) -> None:
    board.note(notice)
    line = plain_line(notice, board.counts())
    if line:
        print(f"[{clock(time.monotonic() - board.began)}] {line}", flush=True)  # noqa: T201


def _print_json(file: TextIO, notice: Notice) -> None:
    file.write(json.dumps(notice.record()) + "\n")
    file.flush()
