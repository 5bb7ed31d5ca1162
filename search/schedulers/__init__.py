"""Which job next: decisions as values, made from the trials alone."""

from search.schedulers.base import Action, Finish, Prune, Resume, Scheduler, Situation, Start, Stop, Wait
from search.schedulers.closing import reserve
from search.schedulers.enough import ENOUGH_PERFECT, Enough, UntilEnough
from search.schedulers.freeze_thaw import FreezeThaw
from search.schedulers.hyperband import Hyperband
from search.schedulers.promotion import Promotion
from search.schedulers.stopping import Stopping, above_the_median, always, among_the_best

__all__ = [
    "ENOUGH_PERFECT",
    "Action",
    "Enough",
    "Finish",
    "FreezeThaw",
    "Hyperband",
    "Promotion",
    "Prune",
    "Resume",
    "Scheduler",
    "Situation",
    "Start",
    "Stop",
    "Stopping",
    "UntilEnough",
    "Wait",
    "above_the_median",
    "always",
    "among_the_best",
    "reserve",
]
