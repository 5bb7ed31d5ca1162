"""Bars on the error stream, which are there only if that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def files_bar(total: int) -> Iterator[Callable[[], None]]:
    """Yield what counts a file."""
    with _bar(TextColumn("classifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


@contextmanager
def epochs_bar() -> Iterator[Callable[[int, float, float], None]]:
    """Yield what takes the number of a trial, the epochs that it has been trained, and of how many."""
    told = TextColumn("training trial {task.description}, epoch {task.completed:.1f} of {task.total:.0f}")
    with _bar(told, BarColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=1, visible=False)

        def tell(number: int, epoch: float, epochs: float) -> None:
            bar.update(task, description=str(number), completed=epoch, total=epochs, visible=True)

        yield tell


def _bar(*columns: ProgressColumn) -> Progress:
    stream = Console(stderr=True)
    return Progress(*columns, console=stream, transient=True, disable=not stream.is_terminal)
