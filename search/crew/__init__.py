"""The drivers of one study: one alone, or several that share it."""

from search.crew.base import Alone, Crew, Lost

__all__ = ["Alone", "Crew", "Lost"]
