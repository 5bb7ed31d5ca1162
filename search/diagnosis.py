"""What the curves of a trial say in words: how its training went, the numbers that say so, which setting to try next.

A list of rules is asked in order, and the first that has something to say tells how training went; wrong labels and a
small validation split may be found beside it. Nothing depends on when something happened, nor on the order of images or
classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from search.answers import Answers, doubt, load_answers, noise_share
from search.curves import Curve, curve_of
from search.remedies import hardens_training, more_capacity, named, regularisers
from search.store import Store
from search.trials import Trial
from trainer.config import JobConfig, flat
from trainer.jobfiles import PREDICTIONS

FEWEST_RESULTS = 4  # that show a trend
EXPLODED = 1.5  # times the smallest training loss, and above the first
FAR_OFF = 2  # times the loss of blind guessing
PERFECT = 0.01  # error on validation images below which little is left to gain
LEAST_RISE = 0.05  # of the validation loss over its minimum, as a share of it
LEAST_GAP = 0.05  # of training accuracy over validation's, in standard errors: 3
LEAST_DEFICIT = 0.02  # of training accuracy below validation's, plus 2 standard errors
LEARNT = 0.8  # share of the way from blind guessing to 1 that a network comes which fits its task
LEAST_NOISE = 0.05  # share of the labels
FEWEST_WRONG = 10  # answers behind a claim about labels
MOST_DOUBT = 0.7  # of the wrong answers; beyond, the network is to blame and not the labels
SKILL_TO_JUDGE = 0.5  # share of the way that a network must have come to judge labels
WIDE_ERROR = 0.02  # standard error of an accuracy


class Word(Enum):
    """What may be found; but for the last two, one excludes the others."""

    TOO_EARLY = "too early"
    DIVERGED = "diverged"
    NOT_LEARNING = "not learning"
    OVERFITTING = "overfitting"
    STILL_IMPROVING = "still improving"
    UNDERFITTING = "underfitting"
    HARD_TRAINING = "hard training"  # augmentation and its like make training images harder than validation's
    GOOD_FIT = "good fit"
    LABEL_NOISE = "label noise"
    NOISY_VALIDATION = "noisy validation"


UNTRAINED = (Word.TOO_EARLY, Word.DIVERGED, Word.NOT_LEARNING)  # of such a network nothing more is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found."""

    word: Word
    sentence: str  # with the numbers that it rests on
    advice: str = ""  # what to try, by the names of settings

    def __str__(self) -> str:
        return f"{self.sentence} {self.advice}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    config: JobConfig
    reason: str  # why the trial ended
    curve: Curve
    answers: Answers | None
    rivals: tuple[float, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the schedule of the learning rate came to its end."""
        return self.curve.last.epoch >= self.config.training.epochs

    @property
    def skill(self) -> float:
        """How far the better of both accuracies is on the way from blind guessing to 1."""
        blind = self.answers.blind_accuracy() if self.answers else 0.0
        best = max(self.curve.now("train_accuracy"), self.curve.now("val_accuracy"))
        return (best - blind) / (1 - blind) if blind < 1 else 0.0

    @property
    def is_blind(self) -> bool:
        """Whether its answers are no better than naming the most frequent class."""
        last = self.curve.last
        return self.answers is not None and (last.val_accuracy <= self.answers.blind_accuracy() + 2 * self.curve.error)


def diagnose(trial: Trial, answers: Answers | None, rivals: Sequence[float] = ()) -> tuple[Finding, ...]:
    """Return what the curves of a trial say, at least one thing.

    Args:
        trial: To its last result.
        answers: Of its last rung; None if it left none: then nothing is said of blind guessing and of labels.
        rivals: Validation accuracies of other trials that were trained as far.
    """
    curve = curve_of(trial.results)
    case = _Case(config=trial.config, reason=trial.reason, curve=curve, answers=answers, rivals=tuple(rivals))
    found = next(finding for rule in RULES if (finding := rule(case)))
    if found.word in UNTRAINED:
        return (found,)
    noise = None if found.word is Word.LABEL_NOISE else _wrong_labels(case)
    is_explained = noise is not None and found.word in (Word.UNDERFITTING, Word.GOOD_FIT)
    beside = [finding for finding in (noise, _small_split(case)) if finding is not None]
    return tuple(beside if is_explained else [found, *beside])


def diagnosis_of(trial: Trial, store: Store, study: str) -> tuple[Finding, ...]:
    """Return what the curves of a trial say, and the predictions in its directory."""
    return diagnose(trial, load_answers(store.job(study, trial.number) / PREDICTIONS))


def diagnosis_among(trials: Sequence[Trial], trial: Trial, store: Store, study: str) -> tuple[Finding, ...]:
    """Return the same of a trial with results, beside the others that came as far."""
    epoch = trial.results[-1].epoch
    lasts = [other.results[-1] for other in trials if other.results and other.number != trial.number]
    rivals = [last.val_accuracy for last in lasts if last.epoch == epoch]
    return diagnose(trial, load_answers(store.job(study, trial.number) / PREDICTIONS), rivals)


def in_words(findings: Sequence[Finding]) -> str:
    """Return the words of findings, such as `overfitting, label noise`."""
    return ", ".join(finding.word.value for finding in findings)


def _diverged(case: _Case) -> Finding | None:
    why = _explosion(case)
    if why is None:
        return None
    warmup = ", warm up longer: `schedule.warmup`" if "schedule.warmup" in flat(case.config) else ""
    advice = f"Lower `optimizer.lr`{warmup}, or clip gradients: `training.grad_clip`."
    return Finding(word=Word.DIVERGED, sentence=why, advice=advice)


def _explosion(case: _Case) -> str | None:
    if case.reason == "nan_loss":
        return "The loss left the finite numbers."
    losses = case.curve.train_losses
    if losses and losses[-1] > max(losses[0], EXPLODED * min(losses)):
        return f"Training loss rose to {losses[-1]:.3g} after a best of {min(losses):.3g}; it began at {losses[0]:.3g}."
    if losses and case.answers and case.is_blind and case.curve.last.val_loss > FAR_OFF * case.answers.blind_loss():
        blind = f"blind guessing has {case.answers.blind_loss():.3g}"
        return f"Validation answers are blind, with a loss of {case.curve.last.val_loss:.3g}; {blind}."
    return None


def _too_early(case: _Case) -> Finding | None:
    num = len(case.curve.results)
    if num >= FEWEST_RESULTS:
        return None
    seen = f"{num} results from the first whole epoch on are" if num else "Less than a whole epoch is"
    return Finding(word=Word.TOO_EARLY, sentence=f"{seen} too little to see a trend.")


def _not_learning(case: _Case) -> Finding | None:
    answers, last = case.answers, case.curve.last
    if answers is None or not case.is_blind:
        return None
    blind, loss = answers.blind_accuracy(), answers.blind_loss()
    if last.train_accuracy > blind + LEAST_GAP or last.val_loss < 0.98 * loss:
        return None
    return Finding(
        word=Word.NOT_LEARNING,
        sentence=f"Validation accuracy {_percent(last.val_accuracy)} and loss {last.val_loss:.3g} are those of blind "
        f"guessing ({_percent(blind)}, {loss:.3g}).",
        advice="Try a much lower and a much higher `optimizer.lr`; see whether the labels belong to the images.",
    )


def _perfect(case: _Case) -> Finding | None:
    if 1 - case.curve.last.val_accuracy > max(PERFECT, case.curve.error):
        return None
    return Finding(word=Word.GOOD_FIT, sentence=f"{_accuracies(case)}: little is left to gain.")


def _loss_rises(case: _Case) -> Finding | None:
    """Find a validation loss that rises while training goes on.

    Source: the generalization loss of Prechelt, 1998, "Early stopping - but when?", Sec. 2.1, at alpha = 5; here the
    rise must also be twice what the loss changes between results anyway.
    """
    curve, least = case.curve, case.curve.best
    rise = curve.now("val_loss") - least.val_loss
    is_clear = rise > max(LEAST_RISE * least.val_loss, 2 * curve.jitter)
    is_surer = curve.now("val_accuracy") > least.val_accuracy + curve.error  # of itself, and no worse
    if not is_clear or is_surer or curve.now("train_loss") >= least.train_loss:
        return None
    return Finding(
        word=Word.OVERFITTING,
        sentence=f"Validation loss rose from {least.val_loss:.3g} at epoch {least.epoch:g} to "
        f"{curve.now('val_loss'):.3g}, while training loss fell from {least.train_loss:.3g} to "
        f"{curve.now('train_loss'):.3g}.",
        advice=_against_overfitting(case.config),
    )


def _improving(case: _Case) -> Finding | None:
    return _better(case) if case.curve.improves else None


def _creeping(case: _Case) -> Finding | None:
    return _better(case) if case.curve.creeps else None


def _better(case: _Case) -> Finding:
    before, now = (_percent(mean("val_accuracy")) for mean in (case.curve.before, case.curve.now))
    losses = f"{case.curve.before('val_loss'):.3g} to {case.curve.now('val_loss'):.3g}"
    longer = "Train longer: `training.epochs`, in a search the last rung of `budget.rungs`."
    return Finding(
        word=Word.STILL_IMPROVING,
        sentence=f"Validation was still getting better at epoch {case.curve.last.epoch:g}: accuracy from {before} to "
        f"{now}, loss from {losses}.",
        advice=longer if case.is_whole else f"It was stopped before its last epoch, {case.config.training.epochs:g}.",
    )


def _gap_stays(case: _Case) -> Finding | None:
    if case.curve.gap <= max(LEAST_GAP, 3 * case.curve.error):
        return None
    sentence = f"{_accuracies(case)}, which gains little more."
    return Finding(word=Word.OVERFITTING, sentence=sentence, advice=_against_overfitting(case.config))


def _cut_short(case: _Case) -> Finding | None:
    if case.is_whole:
        return None
    done = f"epoch {case.curve.last.epoch:g} of {case.config.training.epochs:g}"
    sentence = f"It was stopped at {done}, before the schedule of its learning rate came to its end."
    return Finding(word=Word.TOO_EARLY, sentence=sentence)


def _training_is_harder(case: _Case) -> Finding | None:
    """Find a training accuracy below validation's, which does not say how well a network could fit.

    Where no setting explains it, labels do: networks learn what images have in common before they learn wrong labels
    by heart (Arpit et al., 2017, arXiv:1706.05394, Sec. 3 and 4).
    """
    if -case.curve.gap <= LEAST_DEFICIT + 2 * case.curve.error:
        return None
    if not hardens_training(case.config):
        sentence = f"{_accuracies(case)}, though nothing makes training images harder: their labels may be wrong."
        return Finding(word=Word.LABEL_NOISE, sentence=sentence, advice=_against_noise(case.config))
    sentence = f"{_accuracies(case)}: what it trains on is harder than what it is scored on."
    held = regularisers(case.config, on=True)
    less = f"less of {named(held)}, or " if held else ""
    advice = f"If that is too low, try {less}more capacity: {_capacity(case.config)}."
    return Finding(word=Word.HARD_TRAINING, sentence=sentence, advice=advice)


def _underfitting(case: _Case) -> Finding | None:
    if case.skill >= LEARNT:
        return None
    held = regularisers(case.config, on=True)
    less = f", less of {named(held)}" if held else ""
    return Finding(
        word=Word.UNDERFITTING,
        sentence=f"{_accuracies(case)}; neither gains much any more, so it does not fit what it trains on.",
        advice=f"Try more capacity ({_capacity(case.config)}), a higher `optimizer.lr`{less}.",
    )


def _good_fit(case: _Case) -> Finding:
    return Finding(word=Word.GOOD_FIT, sentence=f"{_accuracies(case)}; neither gains much any more.")


RULES: tuple[Callable[[_Case], Finding | None], ...] = (
    _diverged,
    _too_early,
    _not_learning,
    _perfect,
    _loss_rises,
    _improving,
    _gap_stays,
    _creeping,
    _cut_short,
    _training_is_harder,
    _underfitting,
    _good_fit,
)


def _wrong_labels(case: _Case) -> Finding | None:
    """Find labels that the network contradicts as surely as it confirms the others."""
    answers = case.answers
    if answers is None or case.skill < SKILL_TO_JUDGE or answers.num_wrong() < FEWEST_WRONG:
        return None
    share, unsure = noise_share(answers), doubt(answers)
    if share < LEAST_NOISE or unsure > MOST_DOUBT:
        return None
    return Finding(
        word=Word.LABEL_NOISE,
        sentence=f"About {_percent(share)} of the validation labels look wrong: it contradicts {answers.num_wrong()} "
        f"of {len(answers.labels)} nearly as surely as it confirms the rest (doubt {unsure:.2f}; 0.5 is none).",
        advice=_against_noise(case.config),
    )


def _small_split(case: _Case) -> Finding | None:
    """Find a validation split that is too small to tell trials apart."""
    error, rivals = case.curve.error, case.rivals
    near = sum(abs(rival - case.curve.last.val_accuracy) <= error for rival in rivals)
    is_crowded = len(rivals) > 1 and 2 * near > len(rivals)
    if error <= WIDE_ERROR and not is_crowded:
        return None
    within = f"; {near} of {len(rivals)} other trials that came as far lie within it" if rivals else ""
    return Finding(
        word=Word.NOISY_VALIDATION,
        sentence=f"With {case.curve.last.val_images} validation images the standard error of the accuracy is "
        f"{_percent(error)}{within}.",
        advice="Set more images apart (`data.val_fraction`), or compare by `objective: val/loss`.",
    )


def _against_overfitting(config: JobConfig) -> str:
    unused = named(regularisers(config, on=False) or ("optimizer.weight_decay",))
    return f"Try {unused}, less capacity ({_capacity(config)}), fewer `training.epochs`, or more images."


def _against_noise(config: JobConfig) -> str:
    unused = [path for path in ("training.label_smoothing", "augment.mixup") if path in regularisers(config, on=False)]
    soften = f"{named(unused)} and " if unused else ""
    return f"Look at the images that it gets wrong; {soften}fewer `training.epochs` keep a network from learning them."


def _capacity(config: JobConfig) -> str:
    return named(more_capacity(config))


def _accuracies(case: _Case) -> str:
    train, val = (_percent(case.curve.now(name)) for name in ("train_accuracy", "val_accuracy"))
    return f"Training accuracy is {train}, validation accuracy {val}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
