"""From a study to a model that is trusted: the gate, the package, the registry."""

from search.promotion.promote import Promoted, Wish, promote

__all__ = ["Promoted", "Wish", "promote"]
