"""Which job next: decisions as values, made from the trials alone."""

from search.schedulers.base import Action, Finish, Resume, Scheduler, Situation, Start, Stop, Wait
from search.schedulers.freeze_thaw import FreezeThaw
from search.schedulers.promotion import Promotion

__all__ = ["Action", "Finish", "FreezeThaw", "Promotion", "Resume", "Scheduler", "Situation", "Start", "Stop", "Wait"]
