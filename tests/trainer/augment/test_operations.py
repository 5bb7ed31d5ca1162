import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Generator, Tensor
from torch.nn import functional as F

from trainer.augment.operations import Reach, apply_chosen, operations
from trainer.augment.trivialaugment import wide_reach

LEVEL = 1 / 255
NEAR = Reach()
WIDE = wide_reach(torch.zeros(1, 3, 24, 20))
OPERATIONS = operations(NEAR)
ENHANCEMENTS = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}
PLAIN = {
    "identity": Image.Image.copy,
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
    "invert": ImageOps.invert,
}
ALWAYS = {"autocontrast", "equalize", "invert"}  # act at strength 0 too


def by_pillow(name: str, image: Image.Image, s: float, reach: Reach) -> Image.Image:
    """Apply one operation at strength `s` in [-1, 1] as the table in the module's docstring says."""
    width, height = image.size
    match name:
        case _ if name in PLAIN:
            return PLAIN[name](image)
        case "solarize":
            return ImageOps.solarize(image, 256 * (1 - abs(s)))  # type: ignore[arg-type]
        case "posterize":
            return ImageOps.posterize(image, 8 - round(reach.bits * abs(s)))
        case _ if name in ENHANCEMENTS:
            return ENHANCEMENTS[name](image).enhance(1 + reach.enhancement * s)
        case "rotate":
            return image.rotate(reach.rotation * s, Image.Resampling.BILINEAR)
        case _:
            shear, shift = reach.shear * s, reach.translation * s
            matrix = {
                "shear-x": (1, shear, -shear * height / 2, 0, 1, 0),
                "shear-y": (1, 0, 0, shear, 1, -shear * width / 2),
                "translate-x": (1, 0, shift * width, 0, 1, 0),
                "translate-y": (1, 0, 0, 0, 1, shift * height),
            }[name]
            return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def pillow_batch(name: str, images: Tensor, s: float, reach: Reach) -> Tensor:
    arrays = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    changed = [np.asarray(by_pillow(name, Image.fromarray(array), s, reach)) for array in arrays]
    return torch.from_numpy(np.stack(changed)).permute(0, 3, 1, 2) / 255


@pytest.mark.parametrize(
    ("reach", "strength"),
    [*((NEAR, s) for s in (-1.0, -0.37, 0.0, 0.4, 1.0)), *((WIDE, s) for s in (-0.37, 0.4))],
    ids=lambda part: {NEAR: "near", WIDE: "wide"}.get(part, str(part)),
)
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_pillows(photos: Tensor, name: str, strength: float, reach: Reach) -> None:
    expected = pillow_batch(name, photos, strength, reach)
    # Where Pillow uncovers nothing; its border is sharp and black, ours a bilinear step to grey.
    white = torch.ones_like(photos)
    is_inside = shrunk(pillow_batch(name, white, strength, reach) > 0.99) if is_warp(name) else white.bool()

    changed = operations(reach)[name](photos, torch.full((len(photos),), strength))

    assert is_inside.float().mean() > 0.25
    torch.testing.assert_close(changed[is_inside], expected[is_inside], rtol=0, atol=2 * LEVEL)


def is_warp(name: str) -> bool:
    return name == "rotate" or name.startswith(("shear", "translate"))


def shrunk(mask: Tensor) -> Tensor:
    """Take one pixel off every edge of what is true, that of the image too."""
    outside = F.pad((~mask).float(), (1, 1, 1, 1), value=1.0)
    return F.max_pool2d(outside, 3, 1) == 0


@pytest.mark.parametrize("name", [name for name in OPERATIONS if is_warp(name)])
def test_a_warp_uncovers_grey(name: str) -> None:
    white = torch.ones(2, 3, 32, 32)

    warped = OPERATIONS[name](white, torch.tensor([1.0, -1.0]))

    assert warped.min() == 0.5
    assert warped.max() == 1


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ALWAYS])
def test_an_operation_of_no_strength_changes_nothing(photos: Tensor, name: str) -> None:
    images = torch.cat([photos, torch.ones_like(photos), torch.zeros_like(photos)])

    torch.testing.assert_close(OPERATIONS[name](images, torch.zeros(len(images))), images, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ALWAYS | {"identity"}])
def test_a_stronger_operation_changes_more(photos: Tensor, name: str) -> None:
    changes = [
        (OPERATIONS[name](photos, torch.full((len(photos),), strength)) - photos).abs().mean()
        for strength in (0.0, 0.5, 1.0)
    ]

    assert changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_keeps_the_shape_the_type_and_the_range(name: str, channels: int, rng: Generator) -> None:
    images = torch.rand(30, channels, 9, 14, generator=rng)
    before = images.clone()

    changed = OPERATIONS[name](images, torch.linspace(-1, 1, 30))

    assert changed.shape == images.shape
    assert changed.dtype == images.dtype
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(images, before)


def test_every_image_gets_the_operation_of_its_number(photos: Tensor) -> None:
    images = photos.repeat(4, 1, 1, 1)
    chosen = torch.arange(len(images)) * 7 % len(OPERATIONS)
    strengths = torch.linspace(-1, 1, len(images))

    changed = apply_chosen(images, chosen, strengths, OPERATIONS)

    by_number = list(OPERATIONS.values())
    alone = [by_number[number](images[[n]], strengths[[n]]) for n, number in enumerate(chosen.tolist())]
    torch.testing.assert_close(changed, torch.cat(alone))
