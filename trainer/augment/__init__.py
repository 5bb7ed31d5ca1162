"""Augmentation of whole batches on the device, with an independent draw for every image.

All functions take float images (N, C, H, W) in [0, 1], C = 1 or 3, contiguous or channels_last, on CPU, CUDA
or MPS, and a generator on the same device; they modify no input. Written in plain torch, because
torchvision's transforms draw once a batch.
"""

from trainer.augment.mixing import mix, soft_targets
from trainer.augment.pipeline import augment_images, draw_flips, flips_at_most

__all__ = ["augment_images", "draw_flips", "flips_at_most", "mix", "soft_targets"]
