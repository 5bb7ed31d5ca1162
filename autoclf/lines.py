"""What happens in a search, each thing as a line of text."""

from collections.abc import Sequence

from search import trials
from search.names import run_name
from search.notices import Notice
from search.trials import Trial

PHASES = {
    "preparing": "Preparing the data",
    "measuring": "Measuring this machine",
    "search": "Searching",
    "race": "Training the finalists with other seeds",
    "refit": "Training the winner on training and validation images together",
    "testing": "Scoring the winner on the test split",
}
_ABSENT = {
    "train": ("training", "No model can learn what they look like"),
    "val": ("validation", "No score tells how well these are recognised"),
}


def plain_line(notice: Notice, counts: str) -> str:
    """Return a notice as a line for a log, or nothing for one that would only fill it.

    Args:
        notice: Of anything.
        counts: How many trials stand where, in words.
    """
    if notice.trial is not None and notice.kind in ("repeated", "refit", "no_refit"):
        return _ending_line(notice, notice.trial)
    if notice.trial is not None:
        return _trial_line(notice, notice.trial, counts)
    return data_line(notice) or _race_line(notice) or _machine_line(notice)


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


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(f"#{number}" for number in numbers)


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
        case "short":
            return (
                f"Note: the fastest network of this space needs about {clock(values['needed'])} for a whole training, "
                f"and the limit is {clock(values['limit'])}: nothing will be trained to the end. A smaller last rung "
                "of the space (`budget.rungs`) would change that."
            )
        case "preparing" | "measuring":
            return f"{PHASES[notice.kind]} ..."
        case _:
            return ""


def _race_line(notice: Notice) -> str:
    match notice.kind:
        case "race":
            return f"{PHASES['race']}: {_numbers(notice.values['finalists'])} ..."
        case "warm_start" if notice.values["studies"]:
            number, studies = notice.values["configurations"], ", ".join(notice.values["studies"])
            return f"Tries first the {number} configurations that these studies found best: {studies}"
        case "warm_start":
            return "No earlier study of this store has images that are like these; the search begins by itself."
        case "no_race":
            return (
                f"{_numbers(notice.values['finalists'])} are close, but not trained with other seeds: that would take "
                "more than a quarter of the training so far, or than the time that is left."
            )
        case _:
            return ""


def _ending_line(notice: Notice, trial: Trial) -> str:
    if notice.kind == "repeated":
        accuracy = notice.values.get("val/accuracy")
        came = notice.values["state"] if accuracy is None else f"val accuracy {100 * accuracy:.2f} %"
        return f"{run_name(trial)} with seed +{notice.values['seed']}: {came}"
    if notice.kind == "refit":
        images, epochs = notice.values["images"], notice.values["epochs"]
        return f"{PHASES['refit']}: {run_name(trial)}, {images:,} images, {epochs:g} epochs ..."
    needed = notice.values["seconds"]  # none where it began
    why = "the time was over before it was" if needed is None else f"that takes {clock(needed)}, and less is left"
    return f"{run_name(trial)} is not trained on validation images, too: {why}."


def _trial_line(notice: Notice, trial: Trial, counts: str) -> str:
    match notice.kind:
        case "testing":
            return f"{PHASES[notice.kind]} ..."
        case "epoch":
            last = trial.results[-1]
            return (
                f"{run_name(trial)}: epoch {last.epoch:g}, val accuracy {100 * last.val_accuracy:.2f} %, "
                f"val loss {last.val_loss:.4f}, {last.images_per_second:,.0f} images/s"
            )
        case "complete" | "paused":
            return f"{run_name(trial)}: {notice.kind} at epoch {trial.epoch:g}. {counts}"
        case "failed":
            return f"{run_name(trial)}: failed ({trial.reason}): {trial.message.splitlines()[0]}"
        case "pruned":
            return _pruned_line(trial)
        case "halved":
            portion = notice.values["portion"]
            return f"{run_name(trial)}: memory ran out; goes on with portions of {portion:,} images"
        case "died":
            why = "hung and was killed" if notice.values["has_hung"] else f"died ({notice.values['code']})"
            return f"{run_name(trial)}: its worker {why}"
        case _:
            return ""


def _pruned_line(trial: Trial) -> str:
    """Return why a trial ended out of turn; who was not among the best is told by the table."""
    match trial.reason:
        case trials.OVER_LIMITS:
            return f"{run_name(trial)}: not trained. {trial.message}"
        case trials.NO_ROOM:
            return f"{run_name(trial)}: gave way, as checkpoints have no more room (--disk)."
        case _:
            return ""


def clock(seconds: float) -> str:
    """Return a length of time as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
