"""`autoclf data inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from autoclf.options import SOURCES, DataDir, user_cache

app = typer.Typer(help="Data sets.", no_args_is_help=True)


@app.command()
def inspect(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=f"{SOURCES}.")],
    sheet: Annotated[Path | None, typer.Option(metavar="PNG", help="Write a picture of sample images.")] = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """Show classes, counts, sizes, unreadable files and copies of a data set, and a picture of samples."""
    from autoclf.inspection import print_inspection, write_sheet
    from trainer.data import inspect as look

    cache = user_cache()
    print_inspection(look(source, cache=cache, data_dir=data_dir))
    if sheet is not None:
        write_sheet(source, sheet, cache=cache, data_dir=data_dir)
        typer.echo(f"Sample sheet: {sheet}")
