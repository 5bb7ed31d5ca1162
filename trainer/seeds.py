"""Seeds by purpose: every use of randomness has a stream of its own."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for one purpose; adding a purpose never shifts another's numbers."""
    text = "/".join(map(str, (seed, *purpose)))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(device: "torch.device", seed: int, *purpose: str | int) -> "torch.Generator":
    """Return a generator on `device`, seeded for one purpose.

    Equal seeds give equal numbers on one kind of device; CPU, CUDA and MPS differ from each other.
    """
    import torch  # here, so that whoever only derives seeds does not wait for torch

    return torch.Generator(device).manual_seed(derive(seed, *purpose))


def seed_layers(device: "torch.device", seed: int) -> None:
    """Set the generators that layers draw from on a device; `torch.manual_seed` sets those of all, in a millisecond."""
    import torch

    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
