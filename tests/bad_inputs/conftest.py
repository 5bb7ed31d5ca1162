"""Desks for the real command."""

from tests.desks import desk, slow_desk, template

__all__ = ["desk", "slow_desk", "template"]
