"""What the tracking store is told: the look of each trial, as often as needed."""

from search.tracking.base import Tracker

__all__ = ["Tracker"]
