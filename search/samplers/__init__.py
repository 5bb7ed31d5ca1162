"""Where the next configuration comes from."""

from search.samplers.base import Sampler
from search.samplers.gp import Gp
from search.samplers.random import Random
from search.samplers.tpe import Tpe

__all__ = ["Gp", "Random", "Sampler", "Tpe"]
