"""`autoclf train`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoclf.commands.searching import Device, run_request
from autoclf.options import (
    SOURCES,
    DataDirOrNone,
    Json,
    OnBadImage,
    Storage,
    Store,
    TensorBoard,
    TrackingUri,
    user_cache,
)

if TYPE_CHECKING:
    from search.single import Single

Space = Annotated[
    str | None, typer.Option(metavar="NAME|FILE", help="Take the first baseline of a space.", show_default=False)
]
Trial = Annotated[
    str | None, typer.Option(metavar="STUDY:NUMBER", help="Take a trial of a search.", show_default=False)
]
Config = Annotated[Path | None, typer.Option(metavar="FILE", help="Take settings in YAML.", show_default=False)]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a setting; may be repeated.", show_default=False),
]
Study = Annotated[str | None, typer.Option(metavar="NAME", help="Else made of the settings.", show_default=False)]
Data = Annotated[str | None, typer.Option(metavar="SOURCE", help="Other images.", show_default=False)]
Seed = Annotated[int | None, typer.Option(min=0, help="Of training; else 0, or the trial's.", show_default=False)]


def train(
    space: Space = None,
    trial: Trial = None,
    config: Config = None,
    changes: Changes = None,
    test: Annotated[bool, typer.Option("--test", help="Read the test split at the end.")] = False,
    study: Study = None,
    data: Data = None,
    store: Store = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    tensorboard: TensorBoard = None,
    device: Device = "auto",
    seed: Seed = None,
    data_dir: DataDirOrNone = None,
    on_bad_image: OnBadImage = None,
    json: Json = False,
) -> None:
    """Train one configuration; the same command again resumes."""
    from search.request import Request
    from search.single import space_text, study_name
    from spaces import SpaceError, parse_space

    single = _changed(_taken(space, trial, config, store=store, storage=storage), changes or [], device=device)
    single = replace(single, source=data or single.source, seed=single.seed if seed is None else seed)
    if single.source is None:
        raise SpaceError(f"Nothing says where the images are: --data {SOURCES}.")
    name = study or study_name(single)
    text = space_text(single, name=name)
    request = Request(
        space=parse_space(text, file=Path(f"{name}.yaml")),
        space_text=text,
        study=name,
        source=single.source,
        max_trials=1,
        timeout_seconds=None,
        store=store,
        storage=storage,
        tracking_uri=tracking_uri,
        workers=1,
        device=device,
        seed=single.seed,
        data_dir=data_dir or single.data_dir or Path("data"),
        cache=user_cache(),
        on_bad_image=on_bad_image,
        tensorboard=tensorboard,
        reads_test=test,
    )
    run_request(request, as_json=json)


def _taken(space: str | None, trial: str | None, config: Path | None, *, store: Path, storage: str | None) -> "Single":
    from search.single import from_file, from_space, from_trial
    from spaces import load_space

    if [space, trial, config].count(None) != 2:
        raise typer.BadParameter("Give one of --space, --trial and --config.")
    if space is not None:
        return from_space(load_space(space))
    if trial is not None:
        return from_trial(trial, store=store, storage=storage)
    assert config is not None
    return from_file(config)


def _changed(single: "Single", changes: list[str], *, device: str) -> "Single":
    """Apply what the user sets; a device that was asked for has nothing to do with how another one trained."""
    from search.single import changed, without_runtime
    from spaces import read_changes

    kept = single if device == "auto" else without_runtime(single)
    return changed(kept, read_changes(changes))
