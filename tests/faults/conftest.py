"""Desks for the real command."""

from tests.desks import desk, template

__all__ = ["desk", "template"]
