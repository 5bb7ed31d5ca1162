"""Declared search spaces: the form of their files, loading, and the presets.

A space knows names, not code: whether a model or a setting exists is for others to say. This package imports
neither the trainer nor the search.
"""

from spaces.changes import with_changes
from spaces.documents import read_text
from spaces.domains import Choice, Domain, Float, Integer, Value
from spaces.errors import SpaceError
from spaces.loading import json_schema, load_space, preset_names, preset_text
from spaces.parsing import parse_space
from spaces.settings import read_changes, read_settings
from spaces.space import (
    Baseline,
    BudgetSpec,
    Confidence,
    Constant,
    Constraints,
    DataSpec,
    Objective,
    Param,
    Prior,
    SearchSpace,
)

__all__ = [
    "Baseline",
    "BudgetSpec",
    "Choice",
    "Confidence",
    "Constant",
    "Constraints",
    "DataSpec",
    "Domain",
    "Float",
    "Integer",
    "Objective",
    "Param",
    "Prior",
    "SearchSpace",
    "SpaceError",
    "Value",
    "json_schema",
    "load_space",
    "parse_space",
    "preset_names",
    "preset_text",
    "read_changes",
    "read_settings",
    "read_text",
    "with_changes",
]
