"""Places to choose among: drawn from the whole space, and near the ones that promise most."""

import numpy as np

from search.surrogate.gp import Array
from spaces import Choice, SearchSpace

STEP = 0.25  # standard deviation of a step along a range, in its length
MOVED = 0.7  # probability that a range is moved
SWITCHED = 0.2  # probability that an option is drawn anew
FROM_ANYWHERE = 0.25  # of the candidates


def propose(space: SearchSpace, rng: np.random.Generator, promising: Array, *, num: int) -> Array:
    """Return places (num, P): a quarter of them drawn evenly, the others near promising ones.

    Args:
        space: With P parameters.
        rng: To draw with.
        promising: float64 (M, P), places of configurations.
        num: Places to return.
    """
    num_near = int((1 - FROM_ANYWHERE) * num) if len(promising) else 0
    anywhere = rng.random((num, len(space.params)))
    parents = promising[rng.integers(len(promising), size=num_near)]
    stepped = parents + STEP * rng.normal(size=parents.shape)
    stays = rng.random(parents.shape)
    is_choice = np.array([isinstance(param.domain, Choice) for param in space.params], dtype=bool)
    ranges = np.where(stays < MOVED, np.clip(stepped, 0.0, 1.0), parents)
    choices = np.where(stays < SWITCHED, anywhere[:num_near], parents)
    return np.concatenate([np.where(is_choice, choices, ranges), anywhere[num_near:]])
