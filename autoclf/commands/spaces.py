"""`autoclf spaces`: list, show, check, schema."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Declared search spaces.", no_args_is_help=True)


@app.command("list")
def list_spaces() -> None:
    """List the spaces that come with autoclf."""
    from spaces import load_space, preset_names

    for name in preset_names():
        typer.echo(f"{name:10} {load_space(name).about}")


@app.command()
def show(space: Annotated[str, typer.Argument(metavar="NAME|FILE")]) -> None:
    """Print the file of a space."""
    from spaces import load_space

    sys.stdout.write(load_space(space).file.read_text(encoding="utf-8"))


@app.command()
def check(space: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Check a file: its form, and that every option in it makes a valid training job."""
    from search.jobs import check_space
    from spaces import load_space

    loaded = load_space(space)
    check_space(loaded)
    size = loaded.num_configurations()
    many = "endlessly many" if size == float("inf") else f"{size:,}"
    typer.echo(
        f"{space}: sound. {len(loaded.params)} parameters, {many} configurations, "
        f"{len(loaded.baselines)} baselines, rungs at {', '.join(f'{rung:g}' for rung in loaded.budget.rungs)} epochs."
    )


@app.command()
def schema() -> None:
    """Print the JSON schema of a space file, by which editors complete and check it."""
    from spaces import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
