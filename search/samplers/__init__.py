"""Where the next configuration comes from."""

from search.samplers.base import Sampler
from search.samplers.tpe import Tpe

__all__ = ["Sampler", "Tpe"]
