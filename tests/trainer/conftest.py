"""Small data sets, made once a session, and one thread."""

from pathlib import Path

import pytest
import torch

from tests.trainer.job_desk import RICH, Desk
from tests.trainer.short_jobs import Splits, open_splits, prepare_stripes, tiny_job
from trainer.data import DataSet, prepare
from trainer.models import build_model
from trainer.settings import Timm


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Use one thread of the processor: sums in another order round differently."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """64 images to train on, 16 to validate, 16 to test; 16 pixels, 3 channels, 4 classes."""
    return prepare_stripes(tmp_path_factory.mktemp("stripes"))


@pytest.fixture(scope="session")
def splits(stripes: DataSet) -> Splits:
    return open_splits(stripes)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """The handwritten digits: 8 pixels, 1 channel, 10 classes."""
    place: Path = tmp_path_factory.mktemp("digits")
    return prepare("digits", cache=place, data_dir=place)


@pytest.fixture
def desk(stripes: DataSet, tmp_path: Path) -> Desk:
    return Desk(stripes, tmp_path / "job", tiny_job(stripes, RICH))


@pytest.fixture(scope="module")
def undisturbed(stripes: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The same job, which nobody interrupted."""
    torch.set_num_threads(1)
    desk = Desk(stripes, tmp_path_factory.mktemp("undisturbed"), tiny_job(stripes, RICH))
    desk.train()
    return desk


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of weights for timm's test_resnet, as `model.weights` names it."""
    path = tmp_path_factory.mktemp("weights") / "a.pth"
    donor = build_model(Timm(name="test_resnet"), image_shape=(32, 32, 3), num_classes=1000, seed=5)
    torch.save(donor.state_dict(), path)
    return f"file:{path}"
