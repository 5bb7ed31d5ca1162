"""Desks for the real command, and clusters."""

from tests.desks import desk, slow_desk, template
from tests.faults.cluster import nodes

__all__ = ["desk", "nodes", "slow_desk", "template"]
