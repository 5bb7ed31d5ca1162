"""What a model may cost; torch-free, so that replays can say it, too."""

from collections.abc import Mapping

from trainer.errors import OverLimits
from trainer.results import Footprint

UNITS = {"parameters": "parameters", "flops": "operations an image", "latency_ms": "ms an image", "size_mb": "MB"}


def check_limits(found: Footprint, limits: Mapping[str, float]) -> None:
    """Refuse a model that costs more than it may; what of its cost is not known has no limit.

    Raises:
        OverLimits: The message tells each cost that is too high, and its limit.
    """
    costs = found.costs()
    over = [name for name, limit in limits.items() if costs.get(name, 0.0) > limit]
    if over:
        told = "; ".join(f"{_number(costs[name])} {UNITS[name]}, {_number(limits[name])} allowed" for name in over)
        raise OverLimits(f"The model is over the limits of its space: {told}.")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
