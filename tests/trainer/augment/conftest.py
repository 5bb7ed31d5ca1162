import numpy as np
import pytest
import torch
from torch import Generator, Tensor


@pytest.fixture
def rng() -> Generator:
    return torch.Generator().manual_seed(1)


@pytest.fixture
def photos() -> Tensor:
    """(12, 3, 24, 20) on 256 levels: a slope, a wave and noise, each with its own range of brightness."""
    noise = np.random.default_rng(0)
    y, x = np.mgrid[:24, :20] / 24
    slope = noise.uniform(-1, 1, (12, 3, 1, 1)) * x + noise.uniform(-1, 1, (12, 3, 1, 1)) * y
    images = slope + 0.2 * np.sin(9 * (x + y)) + 0.1 * noise.standard_normal((12, 3, 24, 20))
    images = 0.5 + images * noise.uniform(0.1, 0.6, (12, 1, 1, 1))
    return torch.from_numpy(np.clip(images * 255, 0, 255).round() / 255).float()
