"""`autoclf data inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from autoclf.options import SOURCES, DataDir, user_cache

app = typer.Typer(help="Data sets.", no_args_is_help=True)


@app.command()
def inspect(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=f"{SOURCES}.")],
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Write a picture of sample images, and class_distribution.png beside it."),
    ] = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """Show classes, counts, sizes, unreadable files and copies of a data set, and a picture of samples."""
    from autoclf.inspection import print_inspection, write_pictures
    from trainer.data import inspect as look

    cache = user_cache()
    found = look(source, cache=cache, data_dir=data_dir)
    print_inspection(found)
    if sheet is not None:
        chart = write_pictures(found, sheet, cache=cache, data_dir=data_dir)
        typer.echo(f"Sample sheet: {sheet}\nClass distribution: {chart}")
