import torch
from torch import Generator, Tensor

from trainer.augment.randaugment import OPERATIONS, randaugment


def test_all_operations_are_drawn(rng: Generator, photos: Tensor) -> None:
    images = photos[:1].expand(600, -1, -1, -1)

    changed = randaugment(images, num_operations=1, magnitude=10, rng=rng)

    # Three operations have no sign, nor do solarize and posterize; the other nine make two results each.
    assert len({image.numpy().tobytes() for image in changed}) == 5 + 9 * 2


def test_no_operations_leave_the_images_alone(rng: Generator, photos: Tensor) -> None:
    assert torch.equal(randaugment(photos, num_operations=0, magnitude=10, rng=rng), photos)


def test_the_operations_and_their_numbers_stay_as_they_were() -> None:
    assert list(OPERATIONS) == [
        *("identity", "autocontrast", "equalize", "rotate", "solarize", "color", "posterize", "contrast"),
        *("brightness", "sharpness", "shear-x", "shear-y", "translate-x", "translate-y"),
    ]
