import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import job_config
from trainer.lengths import SMALLEST_SIDE, effort, portion_size, side_at
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


def test_epochs_cost_alike_unless_a_job_grows() -> None:
    assert effort(job_config({"training.epochs": 9.0}), 4.5) == 4.5
    assert effort(job_config({"training.epochs": 9.0, "transfer.unfreeze_at": 0.5}), 4.5) == 4.5, (
        "it has no weights yet"
    )


def test_small_images_cost_by_their_pixels() -> None:
    config = job_config({"training.epochs": 12.0, "training.start_size": 0.5, "training.full_size_at": 0.5})

    assert effort(config, 0.1) / 0.1 == pytest.approx(0.25, abs=0.02)
    assert effort(config, 6.0) == pytest.approx(6 * (1 + 0.5 + 0.25) / 3, rel=1e-3), "the mean of squares from 1/2 to 1"
    assert effort(config, 12.0) - effort(config, 6.0) == pytest.approx(6.0)
    assert effort(config, 14.0) - effort(config, 12.0) == pytest.approx(2.0), "a refit may be longer"


@pytest.mark.parametrize(("train", "share"), [("all", 1 / 3), ("blocks", 2 / 3), ("head", 1.0)])
def test_while_the_head_is_trained_alone_a_step_costs_less(train: str, share: float) -> None:
    waiting = {"model": "timm", "model.pretrained": True, "transfer.train": train, "transfer.unfreeze_at": 0.25}
    config = job_config({**waiting, "training.epochs": 8.0})

    assert effort(config, 2.0) == pytest.approx(2 * share)
    assert effort(config, 8.0) == pytest.approx(2 * share + 6.0)


@given(start=st.floats(0.25, 1), full=st.floats(0.01, 1), epochs=st.floats(0, 20), more=st.floats(0, 20))
def test_more_epochs_cost_more_and_never_more_than_full_ones(
    start: float, full: float, epochs: float, more: float
) -> None:
    config = job_config({"training.epochs": 10.0, "training.start_size": start, "training.full_size_at": full})

    assert 0 <= effort(config, epochs + more) - effort(config, epochs) <= more + 1e-9
