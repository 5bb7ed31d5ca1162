"""Where the next configuration comes from."""

from search.samplers.base import Sampler
from search.samplers.cmaes import CmaEs
from search.samplers.evolution import Evolution
from search.samplers.gp import Gp
from search.samplers.limits import WithinLimits
from search.samplers.mixed import Mixed
from search.samplers.once import Once
from search.samplers.prior import WithPriors
from search.samplers.qmc import Qmc
from search.samplers.random import Random
from search.samplers.tpe import Tpe

__all__ = ["CmaEs", "Evolution", "Gp", "Mixed", "Once", "Qmc", "Random", "Sampler", "Tpe", "WithPriors", "WithinLimits"]
