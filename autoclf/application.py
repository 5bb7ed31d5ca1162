"""All commands in one application; nothing heavy is imported before a command runs."""

from typing import Annotated

import typer

from autoclf import __version__
from autoclf.commands import (
    data,
    doctor,
    export,
    models,
    predict,
    reproduce,
    searching,
    serve,
    spaces,
    studies,
    training,
    ui,
)

app = typer.Typer(
    name="autoclf",
    help="Find the best image classifier for a data set, and see how it was found.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"autoclf {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Find the best image classifier for a data set, and see how it was found."""


app.command("search")(searching.search)
app.command("resume")(searching.resume)
app.command("train")(training.train)
app.command("leaderboard")(studies.leaderboard)
app.command("promote")(models.promote)
app.command("rollback")(models.rollback)
app.command("models")(models.models)
app.command("reproduce")(reproduce.reproduce)
app.command("export")(export.export)
app.command("predict")(predict.predict)
app.command("serve")(serve.serve)
app.add_typer(spaces.app, name="spaces")
app.add_typer(data.app, name="data")
app.command("ui")(ui.ui)
app.command("doctor")(doctor.doctor)
