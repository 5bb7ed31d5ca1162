"""What a search leaves on the screen when it ends: leaderboard, best configuration, where it is, what to do next."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from autoclf.lines import clock
from autoclf.tables import console, drawn, short_columns
from search.finish import Doubt, TestReading, doubt
from search.leaderboard import finalists_table, leaderboard
from search.names import run_name
from search.request import Request
from search.run import Outcome
from search.schedulers import ENOUGH_PERFECT, Enough
from search.storage import hide_password
from search.trials import NO_ROOM, OVER_LIMITS, State
from trainer.config import JobConfig, flat
from trainer.settings import Classical, Plateau, is_pretrained, left_out

ROWS = 10
AIMS = {"top5_accuracy": "top-5 accuracy", "balanced_accuracy": "balanced accuracy", "f1_macro": "macro F1"}
NOT_OF_CLASSICAL = ("optimizer", "schedule", "augment.", "transfer.", "training.")


def print_summary(outcome: Outcome, request: Request) -> None:
    """Print how a search ended, for a person."""
    screen = console()
    screen.print()
    if outcome.trials:
        table = leaderboard(outcome.trials, request.space.objective.metric)
        screen.print(drawn(table[short_columns(request.space.objective.metric)].head(ROWS)))
    if outcome.ended.standing is not None:
        screen.print("\nThe finalists, each trained with several seeds; the mean decides:")
        screen.print(drawn(finalists_table(outcome.ended.standing, request.space.objective.metric)))
    if outcome.ended.winner is not None:
        screen.print(f"\n[bold]Best: trial {run_name(outcome.ended.winner)}[/bold]")
        for path, value in changed_settings(outcome.ended.winner.config).items():
            screen.print(f"  {path}: {value:.4g}" if isinstance(value, float) else f"  {path}: {value}")
    for line in _closing_lines(outcome, request):
        screen.print(line, soft_wrap=True)


def print_json_summary(outcome: Outcome, request: Request) -> None:
    """Print how a search ended, as the last JSON line."""
    winner, doubted = outcome.ended.winner, _doubt(outcome, request)
    record = {
        "event": "outcome",
        "study": outcome.study,
        "finished": outcome.ended.is_finished,
        "left_to": list(outcome.others),
        "trials": len(outcome.trials),
        "winner": winner.number if winner else None,
        "config": flat(winner.config) if winner else None,
        "metrics": winner.results[-1].metrics() if winner else None,
        "race": asdict(outcome.ended.standing) if outcome.ended.standing else None,
        "diagnosis": [asdict(finding) | {"word": finding.word.value} for finding in outcome.diagnosis],
        "refit": asdict(outcome.ended.refit) if outcome.ended.refit else None,
        "test": asdict(outcome.ended.test) if outcome.ended.test else None,
        "ensemble": asdict(outcome.ended.ensemble) if outcome.ended.ensemble else None,
        "judged": doubted.judged if doubted else 0,
        "optimism": doubted.optimism if doubted else None,
        "seconds": outcome.seconds,
        "training_seconds": outcome.training_seconds,
        "workers": outcome.workers,
        "tracking": dict(outcome.tracking),
        "not_uploaded": outcome.num_not_uploaded,
        "not_written": outcome.num_not_written,
    }
    sys.stdout.write(json.dumps(record) + "\n")


def _doubt(outcome: Outcome, request: Request) -> Doubt | None:
    """Return what there is to doubt of the winner, if there is one."""
    ended = outcome.ended
    if ended.winner is None:
        return None
    return doubt(outcome.trials, ended.winner, request.space.objective.metric, ended.standing, ended.test)


def changed_settings(config: JobConfig) -> Mapping[str, object]:
    """Return the settings of a job that a person would name: not the machine's, and none that is off."""
    hidden = ["runtime.", "data", *(f"augment.{name}" for name in left_out(config.augment))]
    if config.loss.class_weights != "effective":
        hidden.append("loss.beta")
    hidden += _off_in_training(config)
    if not is_pretrained(config.model):
        hidden.append("transfer.")
    if isinstance(config.model, Classical):
        hidden += NOT_OF_CLASSICAL
    return {p: v for p, v in flat(config).items() if not p.startswith(tuple(hidden)) and v not in (0, "none")}


def _off_in_training(config: JobConfig) -> Iterator[str]:
    training = config.training
    if training.start_size == 1:
        yield from ("training.start_size", "training.full_size_at")
    if training.preview == "mean":
        yield "training.preview"
    if training.images == "train":
        yield "training.images"
    if training.keep == "last":
        yield "training.keep"
        if not training.patience and not isinstance(config.schedule, Plateau):
            yield "training.watch"


def _diagnosis_lines(outcome: Outcome) -> list[str]:
    """Return what the winner's curves say, a line for each finding."""
    return [f"{finding.word.value.capitalize()}: {finding}" for finding in outcome.diagnosis]


def _test_lines(outcome: Outcome, request: Request) -> Iterator[str]:
    """Yield what the test split said, or that it was not asked."""
    test, refit = outcome.ended.test, outcome.ended.refit
    if refit is not None and refit.is_sound:
        yield (
            f"Trained once more on training and validation images together ({refit.num_images:,} images, "
            f"{refit.epochs:g} epochs): that is the model from here on."
        )
    elif refit is not None:
        yield f"Training on validation images, too, failed ({refit.why_not}): the trial's own weights are the model."
    if test is not None:
        bounds = _bounds(test, "accuracy")
        yield f"Test accuracy: {100 * test.accuracy:.2f} % of {test.num_images:,} images never seen before{bounds}."
        aim = request.space.objective.metric.removeprefix("val/")
        if aim not in ("accuracy", "loss") and aim in test.estimates:
            yield f"Test {AIMS[aim]}: {100 * test.estimates[aim][0]:.2f} %{_bounds(test, aim)}."
        yield _optimism_line(outcome, request)
        if test.readings > 1:
            yield f"The test split has now been read for {test.readings} winners: this figure leans to the bright side."
    elif outcome.ended.winner is not None and not request.reads_test:
        yield "The test split was not read; --test reads it at the end."


def _optimism_line(outcome: Outcome, request: Request) -> str:
    found, refit = _doubt(outcome, request), outcome.ended.refit
    assert found is not None, "it was tested"
    return optimism_line(found, has_more_images=refit is not None and refit.is_sound)


def optimism_line(found: Doubt, *, has_more_images: bool) -> str:
    """Return how far validation and test are apart, and how many were chosen from."""
    judged = f"it has judged {found.judged} configurations."
    if found.optimism is None:
        return f"Validation said {_value(found.metric, found.said)}; {judged}"
    apart = "as much as"
    if (difference := _difference(found.metric, abs(found.optimism))) is not None:
        is_more = (found.optimism > 0) != (found.metric == "loss")
        apart = f"{difference} {'more' if is_more else 'less'} than"
    model = " of the model that has learnt from more images" if has_more_images else ""
    return f"Validation said {_value(found.metric, found.said)}, {apart} the test split{model}; {judged}"


def _value(metric: str, value: float) -> str:
    """Return a value of a metric in words; of the accuracy without its name, which needs none."""
    if metric == "loss":
        return f"a loss of {value:.4f}"
    return f"{100 * value:.2f} %" if metric == "accuracy" else f"{100 * value:.2f} % {AIMS[metric]}"


def _difference(metric: str, value: float) -> str | None:
    """Return a difference in words, or nothing where it is too small to be shown."""
    if value < 0.00005:
        return None
    return f"{value:.4f}" if metric == "loss" else f"{100 * value:.2f} points"


def _bounds(test: TestReading, name: str) -> str:
    """Return the interval of a metric in words; readings of earlier versions have none."""
    if name not in test.estimates:
        return ""
    _, low, high = test.estimates[name]
    return f" (95 % interval: {100 * low:.1f} to {100 * high:.1f} %)"


def _limits_lines(outcome: Outcome) -> Iterator[str]:
    """Yield how many configurations cost too much, and how many checkpoints did, if any."""
    num_over, num = sum(1 for trial in outcome.trials if trial.reason == OVER_LIMITS), len(outcome.trials)
    if num_over == num and num:
        yield (
            "No configuration was within `constraints`. The costs of all are told by "
            f"`autoclf leaderboard {outcome.study} --format csv`: raise a limit, or let the space draw smaller models."
        )
    elif num_over:
        yield f"{num_over} of {num} configurations cost more than `constraints` allows, and were not trained."
    num_out = sum(1 for trial in outcome.trials if trial.reason == NO_ROOM)
    if num_out:
        yield f"{num_out} paused trials ended early, as checkpoints had no more room: --disk gives them more."


def _kept_lines(outcome: Outcome, request: Request, store: str) -> Iterator[str]:
    """Yield what the tracking store and the event files do not show yet."""
    places = {
        "shown to the tracking store": outcome.num_not_uploaded,
        f"written to {request.tensorboard}": outcome.num_not_written,
    }
    command = f"autoclf resume {outcome.study}{store} --trials {len(outcome.trials)}"
    for place, number in places.items():
        if number:
            yield f"{number} looks could not be {place}; this shows them: {command}"


def _ensemble_lines(outcome: Outcome, request: Request) -> Iterator[str]:
    """Yield the offer of an ensemble, if there is one."""
    found, metric = outcome.ended.ensemble, request.space.objective.metric
    if found is not None:
        members = ", ".join(f"#{number}" for number in found.counts)
        yield (
            f"Together {members} are better than #{found.winner} alone: {metric} {found.score:.4f} to "
            f"{found.winner_score:.4f}, on images by which they were not chosen. Each image takes {len(found.counts)} "
            "networks then."
        )


def _why_no_more(outcome: Outcome, request: Request) -> str:
    """Return why fewer trials began than might have."""
    enough, metric = Enough.of(request), request.space.objective.metric
    reached = enough.target_trial(outcome.trials, metric)
    if reached is not None:
        return f"{run_name(reached)} has reached the target of {enough.target:g}."
    if enough.has_nothing_to_gain(outcome.trials, metric):
        return (
            f"{ENOUGH_PERFECT} of them have a {metric} of 1, and no other could be seen to be better. More validation "
            "images can tell them apart (data.val_fraction), or `objective: val/loss`."
        )
    if enough.patience_trials is not None or enough.patience_seconds is not None:
        return "the last ones brought nothing better (--patience), or there was no time for another to come far."
    return "there was no time for another to come far."


def _closing_lines(outcome: Outcome, request: Request) -> list[str]:
    share = outcome.training_seconds / max(1e-9, outcome.seconds * outcome.workers)
    lines = ["", *_diagnosis_lines(outcome), *_test_lines(outcome, request), *_ensemble_lines(outcome, request)]
    lines.append(
        f"{clock(outcome.seconds)} in all, {100 * share:.0f} % of it in training steps ({outcome.workers} workers)."
    )
    if outcome.ended.is_finished and len(outcome.trials) < request.max_trials:
        lines.append(f"{len(outcome.trials)} of {request.max_trials} trials began: {_why_no_more(outcome, request)}")
    store = _place_options(request)
    lines += [*_limits_lines(outcome), *_kept_lines(outcome, request, store)]
    if outcome.tracking.get("winner_run"):
        run = f"/#/experiments/{outcome.tracking['experiment']}/runs/{outcome.tracking['winner_run']}"
        lines.append(f"The best in MLflow, while `autoclf ui` runs: http://127.0.0.1:5000{run}")
    return [*lines, *_next_lines(outcome, request, store)]


def _place_options(request: Request) -> str:
    """Return the options by which other commands find a study of this search."""
    store = "" if str(request.store) == "mlruns" else f" --store {shlex.quote(str(request.store))}"
    return store + ("" if request.storage is None else f" --storage {shlex.quote(hide_password(request.storage))}")


def _next_lines(outcome: Outcome, request: Request, store: str) -> list[str]:
    """Return what a user may do now, as commands."""
    if outcome.others:
        return ["", f"Nothing is left to do here; {', '.join(outcome.others)} ends the search."]
    if not outcome.ended.is_finished:
        return ["", f"Interrupted. Go on with:  autoclf resume {outcome.study}{store}"]
    more = f"autoclf resume {outcome.study}{store} --trials {2 * request.max_trials}"
    if outcome.ended.winner is None or outcome.ended.winner.state is not State.COMPLETE:
        return _lines_without_winner(outcome, more)
    commands = {
        f"autoclf ui{store}": "compare the trials in MLflow and the Optuna dashboard",
        f"autoclf promote {outcome.study}{store}": "register the best model, with the alias champion",
    }
    if outcome.ended.ensemble is not None:
        commands[f"autoclf promote {outcome.study}{store} --ensemble"] = "register these trials together"
    if request.tensorboard is not None:
        commands[f"tensorboard --logdir {request.tensorboard}"] = "see the curves and pictures of the trials"
    is_all_told = Enough.of(request).has_nothing_to_gain(outcome.trials, request.space.objective.metric)
    if request.space.num_configurations() > len(outcome.trials) and not is_all_told:
        commands[more] = "search on"
    width = max(map(len, commands))
    return ["", "Next:", *(f"  {command:{width}}   {what}" for command, what in commands.items())]


def _lines_without_winner(outcome: Outcome, more: str) -> list[str]:
    """Return what may help where no trial was trained to the end."""
    if outcome.trials and all(trial.reason == OVER_LIMITS for trial in outcome.trials):
        return []
    if outcome.trials and all(trial.is_hopeless for trial in outcome.trials):
        return ["", "Every trial failed; `autoclf leaderboard` and the trials in MLflow say why."]
    return ["", "No trial was trained to the end in this time. Give it more:", f"  {more}"]
