"""What a person sees while a search runs: a live table on a terminal, plain lines elsewhere, JSON lines on demand."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.book import best_of
from search.names import run_name
from search.notices import Notice, Watch
from search.request import Request
from search.trials import State, Trial

REFRESHES_A_SECOND = 4
_ABSENT = {
    "train": ("training", "No model can learn what they look like"),
    "val": ("validation", "No score tells how well these are recognised"),
}
# What stays above the live table:
_KEPT = ("complete", "failed", "measured", "crowded", "skipped", "dropped", "leaks", "absent", "repeated", "no_refit")
BAR_WIDTH = 24


@contextmanager
def watcher(request: Request, *, as_json: bool) -> Iterator[Watch]:
    """Yield what the search shall tell; the display lasts as long as the block."""
    if as_json:
        yield _print_json
        return
    console = Console(stderr=False)
    board = Board(request=request)
    if not console.is_terminal:
        yield lambda notice: _print_plain(board, notice)
        return
    with Live(board, console=console, refresh_per_second=REFRESHES_A_SECOND, transient=False) as live:

        def show(notice: Notice) -> None:
            board.note(notice)
            line = plain_line(board, notice)
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
        self.phase = _PHASES.get(notice.kind, self.phase)
        if notice.kind in _COUNTED:
            self.phase = f"{_COUNTED[notice.kind]}: {notice.values['done']:,} of {notice.values['total']:,}"
        if notice.kind in _STRETCHES:
            phase = _PHASES[_STRETCHES[notice.kind]]
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


def plain_line(board: Board, notice: Notice) -> str:
    """Return a notice as a line for a log, or nothing for one that would only fill it."""
    if notice.trial is not None and notice.kind in ("repeated", "refit", "no_refit"):
        return _ending_line(notice, notice.trial)
    if notice.trial is not None:
        return _trial_line(board, notice, notice.trial)
    return data_line(notice) or _machine_line(notice)


def data_line(notice: Notice) -> str:
    """Return a notice of the data as a line, or nothing."""
    values = notice.values
    match notice.kind:
        case "skipped":
            return f"Skipped {values['number']} files that cannot be used; the first: {values['first']}"
        case "leaks":
            return (
                f"Note: {values['number']} images stand in more than one split, which makes scores look better than "
                "they are. Leave the copies out: --set data.duplicates=exact"
            )
        case "absent":
            split, so = _ABSENT[values["split"]]
            return f"Note: no {split} images of {_few(values['classes'])}. {so}."
        case "dropped":
            return f"Left out {values['number']} copies of other images."
        case "features" if values["done"] == values["total"]:
            return f"Showed {values['total']:,} images to the frozen network; its trials train on what it made of them."
        case _:
            return ""


def _few(names: Sequence[str]) -> str:
    """Return names as words; of many the first three, and how many more there are."""
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _machine_line(notice: Notice) -> str:
    values = notice.values
    match notice.kind:
        case "measured":
            rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in values["images_per_second"].items())
            speeds = f"; images/s of a job: {rates}" if rates else ""  # models without epochs have none
            return (
                f"Measured on {values['device']} in {values['precision']}: jobs at once {values['workers']}, "
                f"threads of each {values['threads']}{speeds}"
            )
        case "crowded":
            return f"Note: {values['workers']} workers share {values['cores']} cores; each gets a part of one."
        case "race":
            return f"{_PHASES['race']}: {', '.join(f'#{number}' for number in values['finalists'])} ..."
        case "preparing" | "measuring":
            return f"{_PHASES[notice.kind]} ..."
        case _:
            return ""


def _ending_line(notice: Notice, trial: Trial) -> str:
    if notice.kind == "repeated":
        accuracy = notice.values.get("val/accuracy")
        came = notice.values["state"] if accuracy is None else f"val accuracy {100 * accuracy:.2f} %"
        return f"{run_name(trial)} with seed +{notice.values['seed']}: {came}"
    if notice.kind == "refit":
        images, epochs = notice.values["images"], notice.values["epochs"]
        return f"{_PHASES['refit']}: {run_name(trial)}, {images:,} images, {epochs:g} epochs ..."
    needed = notice.values["seconds"]  # none where it began
    why = "the time was over before it was" if needed is None else f"that takes {clock(needed)}, and less is left"
    return f"{run_name(trial)} is not trained on validation images, too: {why}."


def _trial_line(board: Board, notice: Notice, trial: Trial) -> str:
    match notice.kind:
        case "testing":
            return f"{_PHASES[notice.kind]} ..."
        case "epoch":
            last = trial.results[-1]
            return (
                f"{run_name(trial)}: epoch {last.epoch:g}, val accuracy {100 * last.val_accuracy:.2f} %, "
                f"val loss {last.val_loss:.4f}, {last.images_per_second:,.0f} images/s"
            )
        case "complete" | "paused":
            return f"{run_name(trial)}: {notice.kind} at epoch {trial.epoch:g}. {board.counts()}"
        case "failed":
            return f"{run_name(trial)}: failed ({trial.reason}): {trial.message.splitlines()[0]}"
        case "halved":
            portion = notice.values["portion"]
            return f"{run_name(trial)}: memory ran out; goes on with portions of {portion:,} images"
        case "died":
            why = "hung and was killed" if notice.values["has_hung"] else f"died ({notice.values['code']})"
            return f"{run_name(trial)}: its worker {why}"
        case _:
            return ""


def clock(seconds: float) -> str:
    """Return a length of time as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


_PHASES = {
    "preparing": "Preparing the data",
    "measuring": "Measuring this machine",
    "search": "Searching",
    "race": "Training the finalists with other seeds",
    "refit": "Training the winner on training and validation images together",
    "testing": "Scoring the winner on the test split",
}


_STRETCHES = {"racing": "race", "refitting": "refit"}  # notices on the way, and of what
_COUNTED = {
    "decoding": "Decoding images",
    "features": "Showing the images to the frozen network",
}


def _print_plain(board: Board, notice: Notice) -> None:
    board.note(notice)
    line = plain_line(board, notice)
    if line:
        print(f"[{clock(time.monotonic() - board.began)}] {line}", flush=True)  # noqa: T201


def _print_json(notice: Notice) -> None:
    sys.stdout.write(json.dumps(notice.record()) + "\n")
    sys.stdout.flush()
