"""Networks: our own for small images, timm's beside them."""

from trainer.models.build import build_model, initialise_from_data
from trainer.models.published import input_moments

__all__ = ["build_model", "initialise_from_data", "input_moments"]
