"""`autoclf search` and `autoclf resume`."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autoclf.exits import INTERRUPTED
from autoclf.options import (
    SOURCES,
    DataDir,
    Json,
    OnBadImage,
    Storage,
    Store,
    TensorBoard,
    TrackingUri,
    num_bytes,
    patience,
    seconds,
    user_cache,
)

if TYPE_CHECKING:
    from search.executors.base import Cluster
    from search.request import Request
    from spaces import SearchSpace

Timeout = Annotated[
    float | None,
    typer.Option(parser=seconds, metavar="TIME", help="Time limit, such as 90s, 30m or 2h.", show_default=False),
]
Patience = Annotated[
    float | None,
    typer.Option(
        parser=patience,
        metavar="N|TIME",
        help="Begin no more after N configurations, or 30m, without a better one.",
        show_default=False,
    ),
]
Target = Annotated[
    float | None,
    typer.Option(help="End when a trial has come that far, such as 0.94 of val/accuracy.", show_default=False),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Jobs at once; else measured, and on resume as before.", show_default=False),
]
Trials = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Configurations in all, earlier runs included; else the space's, and on resume as before.",
        show_default=False,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Fix a setting; may be repeated.", show_default=False),
]
Sampler = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What draws configurations: mixed (gp, then tpe and gp in turn), cmaes, evolution, gp, qmc, random, tpe.",
    ),
]
Scheduler = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="What decides who trains on: asha, freeze-thaw, hyperband, median, none or promotion."
    ),
]
WarmStart = Annotated[
    list[str] | None,
    typer.Option(metavar="STUDY|auto", help="Try first what earlier studies found best; may be repeated."),
]
Disk = Annotated[
    float | None,
    typer.Option(
        parser=num_bytes,
        metavar="SIZE",
        help="What checkpoints and weights may take, such as 500MB or 20GB; else half of what is free.",
        show_default=False,
    ),
]
ExecutorName = Annotated[Literal["local", "ray"], typer.Option("--executor", help="Where jobs run: here, or on Ray.")]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="Of a Ray cluster; else this machine's own, and on resume as before.",
        show_default=False,
    ),
]


def _share(value: float | None) -> float | None:
    """Return what a job gets of a node, if Ray takes it."""
    if value is not None and value > 1 and value % 1:
        raise typer.BadParameter(f"{value:g} is neither whole nor less than 1; Ray gives whole ones, or a part of one.")
    return value


Cpus = Annotated[float, typer.Option(min=0.01, callback=_share, help="Cores of a job on Ray.")]
Gpus = Annotated[float, typer.Option(min=0.0, callback=_share, help="GPUs of a job on Ray; 0.5 puts two on one.")]
Race = Annotated[bool, typer.Option(help="Train the best few with other seeds at the end; the mean decides.")]
Refit = Annotated[bool, typer.Option(help="Train the winner on training and validation images at the end.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]


def search(
    space: Annotated[str, typer.Option(metavar="NAME|FILE", help="A preset, or a YAML file of your own.")],
    trials: Trials = None,
    timeout: Timeout = None,
    patience: Patience = None,
    target: Target = None,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="Else the space's name.")] = None,
    changes: Changes = None,
    data: Annotated[str | None, typer.Option(metavar="SOURCE", help=f"{SOURCES}.")] = None,
    store: Store = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    tensorboard: TensorBoard = None,
    workers: Workers = None,
    sampler: Sampler = "mixed",
    scheduler: Scheduler = "freeze-thaw",
    device: Device = "auto",
    warm_start: WarmStart = None,
    disk: Disk = None,
    executor: ExecutorName = "local",
    address: Address = None,
    cpus_per_trial: Cpus = 1.0,
    gpus_per_trial: Gpus = 0.0,
    race: Race = True,
    refit: Refit = True,
    seed: Annotated[int, typer.Option(min=0, help="Of sampling and training.")] = 0,
    data_dir: DataDir = Path("data"),
    on_bad_image: OnBadImage = None,
    json: Json = False,
) -> None:
    """Search a space; the same command again resumes."""
    from search.request import Request

    declared, text, source = _declared(space, changes or [], data)
    request = Request(
        space=declared,
        space_text=text,
        study=declared.name if study is None else study,
        source=source,
        max_trials=_num_trials(declared, trials or declared.budget.trials),
        timeout_seconds=timeout,
        store=store,
        storage=storage,
        tracking_uri=tracking_uri,
        workers=workers,
        sampler=sampler,
        scheduler=scheduler,
        device=device,
        seed=seed,
        data_dir=data_dir,
        cache=user_cache(),
        warm_start=tuple(warm_start or ()),
        disk_bytes=disk,
        cluster=_cluster(executor, address, cpus_per_trial, gpus_per_trial),
        races=race,
        refits=refit,
        on_bad_image=on_bad_image,
        tensorboard=tensorboard,
    )
    run_request(_limited(request, patience=patience, target=target), as_json=json)


def _num_trials(space: "SearchSpace", wanted: int) -> int:
    """Return how many trials there may be: no more than configurations, as none is tried twice."""
    return int(min(wanted, space.num_configurations()))


def _cluster(executor: str, address: str | None, cpus: float, gpus: float) -> "Cluster | None":
    from search.executors.base import Cluster

    return Cluster(address=address, cpus_per_trial=cpus, gpus_per_trial=gpus) if executor == "ray" else None


def _declared(name: str, changes: list[str], data: str | None) -> tuple["SearchSpace", str, str]:
    """Return a space with the settings that the user fixes, the file that declares it so, and where the images are.

    Raises:
        SpaceError: If nobody says where they are.
    """
    from spaces import SpaceError, load_space, parse_space, read_changes, read_text, with_changes

    file = load_space(name).file
    text = with_changes(read_text(file), read_changes(changes), name=str(file))
    declared = parse_space(text, file=file)
    source = declared.data.source if data is None else data
    if source is None:
        raise SpaceError(f"The space {declared.name!r} names no data. Say where the images are: --data folder:DIR")
    return declared, text, source


def _limited(request: "Request", *, patience: float | None, target: float | None) -> "Request":
    """Return a request that ends when the user is content.

    Raises:
        StudyError: If nothing could be at the target.
    """
    from search.errors import StudyError

    metric = request.space.objective.metric
    if target is not None and metric != "val/loss" and not 0 < target <= 1:
        raise StudyError(f"--target is of {metric}, a share from 0 to 1 such as 0.94; got {target:g}.")
    if isinstance(patience, int):
        return replace(request, target=target, patience_trials=patience)
    return replace(request, target=target, patience_seconds=patience)


def resume(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    trials: Trials = None,
    timeout: Timeout = None,
    patience: Patience = None,
    target: Target = None,
    store: Store = Path("mlruns"),
    storage: Storage = None,
    workers: Workers = None,
    disk: Disk = None,
    executor: Annotated[
        Literal["local", "ray"] | None, typer.Option(help="Where jobs run; else as before.", show_default=False)
    ] = None,
    address: Address = None,
    cpus_per_trial: Annotated[
        float | None,
        typer.Option(min=0.01, callback=_share, help="Cores of a job on Ray; else as before.", show_default=False),
    ] = None,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(min=0.0, callback=_share, help="GPUs of a job on Ray; else as before.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Go on with a search that was interrupted or killed, or give a finished one more trials."""
    from search.executors.base import Cluster
    from search.resume import remembered_request

    request = remembered_request(study, store=store, storage=storage, cache=user_cache())
    wanted = _num_trials(request.space, trials or request.max_trials)
    disk_bytes = disk or request.disk_bytes
    request = replace(request, max_trials=wanted, timeout_seconds=timeout, workers=workers, disk_bytes=disk_bytes)
    if executor == "local":
        request = replace(request, cluster=None)
    elif executor == "ray" or (address, cpus_per_trial, gpus_per_trial) != (None, None, None):
        known = request.cluster or Cluster()
        cluster = Cluster(
            address=known.address if address is None else address,
            cpus_per_trial=known.cpus_per_trial if cpus_per_trial is None else cpus_per_trial,
            gpus_per_trial=known.gpus_per_trial if gpus_per_trial is None else gpus_per_trial,
        )
        request = replace(request, cluster=cluster)
    run_request(_limited(request, patience=patience, target=target), as_json=json)


def run_request(request: "Request", *, as_json: bool) -> None:
    """Search as asked, show how it goes and how it ended.

    Raises:
        typer.Exit: With the code of an interruption, after one.
    """
    if request.cluster is not None and request.workers is not None:
        raise typer.BadParameter(
            "--workers is of this machine; a Ray cluster runs as many jobs as it has room for, which --cpus-per-trial "
            "and --gpus-per-trial decide."
        )
    began = time.monotonic()  # a limit is the user's time, that of loading what is heavy included
    from autoclf.live import watcher
    from autoclf.summary import print_json_summary, print_summary
    from search.run import search as run_search

    with watcher(request, as_json=as_json) as watch:
        outcome = run_search(request, watch, began=began)
    if as_json:
        print_json_summary(outcome, request)
    else:
        print_summary(outcome, request)
    if not outcome.ended.is_finished and not outcome.others:
        raise typer.Exit(INTERRUPTED)
