"""Networks: our own for small images, timm's beside them."""

from trainer.models.build import build_model, initialise_from_data

__all__ = ["build_model", "initialise_from_data"]
