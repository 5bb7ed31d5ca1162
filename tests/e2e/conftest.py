"""Desks for the real command."""

from tests.desks import desk, promoted, slow_desk, template

__all__ = ["desk", "promoted", "slow_desk", "template"]
