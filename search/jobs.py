"""Where spaces and training jobs meet: drawn parameters become a job, and every option of a space is tried on one."""

from collections.abc import Iterator, Mapping
from itertools import product

from spaces import Choice, Float, Integer, Param, SearchSpace, SpaceError, Value
from trainer.config import JobConfig, all_settings, job_config
from trainer.errors import ConfigError, did_you_mean
from trainer.settings import MODELS, Classical

RESERVED = {
    "training.epochs": "is the last rung of `budget.rungs`",
    "training.images": "is the search's own: its winner is trained on both splits at the end, unless --no-refit",
    "seed": "is the search's own, so that its trials can be compared: --seed",
    "data": "is what the space searches on: `data.source`",
}


WATCHED = {  # what a job goes by where its space does not say, by the objective that its trial is judged by
    "val/loss": "loss",
    "val/balanced_accuracy": "balanced_accuracy",
    "val/f1_macro": "f1_macro",
}
WHAT_IS_TRAINED = ("model", "model.name", "transfer.train")
DROPS = ("model.dropout", "model.drop_path")


def build_job(
    space: SearchSpace,
    drawn: Mapping[str, Value],
    *,
    data: str,
    seed: int,
    runtime: Mapping[str, Value],
) -> JobConfig:
    """Return the job of drawn parameters.

    Args:
        space: Gives the constants and the length of training.
        drawn: Values by parameter name.
        data: Fingerprint of the data set.
        seed: Of the job.
        runtime: Settings below `runtime.`, by path; what the space fixes itself wins.

    Raises:
        ConfigError: If the settings do not make a job.
    """
    fixed: dict[str, Value] = {"data": data, "seed": seed, "training.epochs": space.budget.epochs}
    watch: dict[str, Value] = {"training.watch": WATCHED.get(space.objective.metric, "accuracy")}
    return job_config({**runtime, **watch, **space.settings(drawn), **fixed})


def check_space(space: SearchSpace) -> None:
    """Try every option and both ends of every range of a space on a job.

    Raises:
        SpaceError: If one does not make a valid job; the message lists each fault once, with the file's name.
    """
    faults = dict.fromkeys(_faults(space))
    if faults:
        where = space.file or space.name
        raise SpaceError("\n".join(f"{where}: {fault}" for fault in faults))


def _faults(space: SearchSpace) -> Iterator[str]:
    known = set(all_settings())
    reserved = sorted(set(RESERVED) & set(space.paths()))
    for path in reserved:
        yield f"`{path}` {RESERVED[path]}; take it out of the parameters."
    unknown = sorted(set(space.paths()) - known - set(RESERVED))
    for path in unknown:
        yield f"No training job has a setting {path!r}.{did_you_mean(path, known)}"
    if unknown or reserved:
        return
    for drawn in _corners(space):
        try:
            job_config(space.settings(drawn))
        except ConfigError as error:
            yield from str(error).splitlines()


def _corners(space: SearchSpace) -> Iterator[dict[str, Value]]:
    """Yield draws in which each option of each conditional choice meets both ends of all ranges."""
    deciding = {name for param in space.params for name, _ in param.when}
    choices = [param for param in space.params if param.name in deciding]
    for picked in product(*(_ends(param) for param in choices)):
        chosen = {param.name: value for param, value in zip(choices, picked, strict=True)}
        most = max((len(_ends(param)) for param in space.params), default=1)
        for turn in range(most):
            yield _draw_at(space, chosen, turn)


def _draw_at(space: SearchSpace, chosen: Mapping[str, Value], turn: int) -> dict[str, Value]:
    drawn: dict[str, Value] = {}
    for param in space.params:
        if param.is_active(drawn):
            ends = _ends(param)
            drawn[param.name] = chosen.get(param.name, ends[turn % len(ends)])
    return drawn


def _ends(param: Param) -> tuple[Value, ...]:
    match param.domain:
        case Choice(options=options):
            return options
        case Float(low=low, high=high) | Integer(low=low, high=high):
            return (low, high)


def has_classical(space: SearchSpace) -> bool:
    """Say whether a space can draw a model without epochs."""
    drawn = {option for param in space.params if param.path == "model" for option in _ends(param)}
    named = drawn | {item.value for item in space.constants if item.path == "model"}
    return any(issubclass(kind, Classical) for name, kind in MODELS.items() if name in named)


def example_draws(space: SearchSpace) -> list[dict[str, Value]]:
    """Return a draw for each network that a space can draw, and for each way to train it.

    The rest is of a baseline if there is one, else from the upper ends; so is always what makes a step costlier.
    """
    return [_draw_at(space, _nearest_baseline(space, chosen) | chosen, turn=-1) for chosen in _networks(space)]


def _networks(space: SearchSpace) -> list[dict[str, Value]]:
    """Return the values of the parameters that together say which network a job trains, and which part of it."""
    chosen: list[dict[str, Value]] = [{}]
    for param in space.params:
        if param.path in WHAT_IS_TRAINED:  # in this order, and each hangs on nothing but those before it
            chosen = [more for drawn in chosen for more in _each_way(param, drawn)]
    return chosen


def _each_way(param: Param, drawn: dict[str, Value]) -> list[dict[str, Value]]:
    """Return a draw once for each value of a parameter, or as it is where that is not asked for."""
    return [drawn | {param.name: end} for end in _ends(param)] if param.is_active(drawn) else [drawn]


def _nearest_baseline(space: SearchSpace, chosen: Mapping[str, Value]) -> dict[str, Value]:
    cheap = {param.name for param in space.params if param.path.startswith("augment") or param.path in DROPS}
    for baseline in space.baselines:
        if all(baseline.get(name) == value for name, value in chosen.items()):
            return {name: value for name, value in baseline.items() if name not in cheap}
    return {}
