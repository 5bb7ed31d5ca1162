import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import job_config
from trainer.lengths import SMALLEST_SIDE, portion_size, side_at
from trainer.settings import Training

SIZES = st.builds(Training, start_size=st.floats(0.25, 1), full_size_at=st.floats(0.01, 1))


@pytest.mark.parametrize(
    ("progress", "side"), [(0.0, 16), (0.1, 20), (0.125, 20), (0.25, 24), (0.49, 32), (0.5, 32), (1.0, 32)]
)
def test_images_grow_in_twos_until_they_have_their_size(progress: float, side: int) -> None:
    assert side_at(Training(start_size=0.5, full_size_at=0.5), 32, progress) == side


@given(settings=SIZES, side=st.integers(8, 512), progress=st.floats(0, 1), later=st.floats(0, 1))
def test_images_never_shrink_and_end_at_their_size(
    settings: Training, side: int, progress: float, later: float
) -> None:
    first, second = sorted((progress, later))

    assert SMALLEST_SIDE <= side_at(settings, side, first) <= side_at(settings, side, second) <= side
    assert side_at(settings, side, 1.0) == side


@given(side=st.integers(1, 512), progress=st.floats(0, 1))
def test_images_keep_their_size_unless_a_job_asks_for_more(side: int, progress: float) -> None:
    assert side_at(Training(), side, progress) == side


@pytest.mark.parametrize(
    ("micro_batch", "batch_size", "halvings", "size"),
    [(64, 128, 0, 64), (65_536, 128, 0, 128), (65_536, 128, 1, 64), (64, 128, 3, 8), (4, 128, 9, 1)],
)
def test_a_portion_is_halved_until_it_is_one_image(micro_batch: int, batch_size: int, halvings: int, size: int) -> None:
    config = job_config({"runtime.micro_batch": micro_batch, "training.batch_size": batch_size})

    assert portion_size(config, halvings) == size


@pytest.mark.parametrize(
    ("ghost_batch", "micro_batch", "size"), [(0, 1000, 500), (64, 1000, 64), (64, 16, 16), (1000, 1000, 500)]
)
def test_a_portion_is_no_larger_than_what_batch_norms_are_to_see(ghost_batch: int, micro_batch: int, size: int) -> None:
    settings = {"runtime.micro_batch": micro_batch, "training.batch_size": 500, "training.ghost_batch": ghost_batch}

    assert portion_size(job_config(settings)) == size
