"""Desks for the real command, and clusters."""

from tests.desks import desk, slow_desk, template
from tests.faults.cluster import connect, digits, nodes

__all__ = ["connect", "desk", "digits", "nodes", "slow_desk", "template"]
