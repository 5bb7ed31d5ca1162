"""`autoclf predict` with a promoted model, on files as people have them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from PIL import Image
from sklearn.datasets import load_digits

from search.promotion.package import EXTRA, MANIFEST
from search.store import Store
from tests.command import Desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MISTAKE = 2
NUM = 60


@pytest.fixture(scope="module")
def images(promoted: Desk) -> np.ndarray:
    """The first digits (N, 8, 8, 1), which lie in `digits/`, some larger or in colour, beside a file that is none."""
    found = (load_digits().images[:NUM] * 255 / 16).round().astype(np.uint8)
    (promoted.root / "digits" / "deep").mkdir(parents=True)
    for number, pixels in enumerate(found):
        image = Image.fromarray(pixels)
        folder = promoted.root / "digits" / ("deep" if number % 3 else ".")
        (image.convert("RGB") if number % 2 else image).save(folder / f"{number:02d}.png")
    (promoted.root / "digits" / "broken.jpg").write_text("hello")
    return found[..., None]


def test_answers_are_those_of_plain_mlflow_and_a_bad_file_stops_nobody(promoted: Desk, images: np.ndarray) -> None:
    done = promoted.run("predict", "digits", "--model", "tiny@champion", "--format", "json", "--top-k", "3")

    assert done.returncode == MISTAKE
    assert done.stderr == f"1 of {NUM + 1} files could not be used; all others are above.\n"
    answers = {Path(record["file"]).stem: record for record in json.loads(done.stdout)}
    assert "is no JPEG, PNG, WebP" in answers.pop("broken")["error"]
    np.save(promoted.root / "images.npy", images)
    script = (
        "import mlflow, numpy; mlflow.set_tracking_uri('sqlite:///mlruns/mlflow.db');"
        "model = mlflow.pyfunc.load_model('models:/tiny@champion');"
        "numpy.save('answers.npy', model.predict(numpy.load('images.npy'))['probabilities'])"
    )
    assert promoted.run_python(script).returncode == 0
    for number, row in enumerate(np.load(promoted.root / "answers.npy")):
        found = answers[f"{number:02d}"]["predictions"]
        assert len(found) == 3
        for answer in found:
            assert answer["confidence"] == pytest.approx(row[int(answer["label"])], abs=1e-3)
        assert [answer["confidence"] for answer in found] == pytest.approx(sorted(row)[::-1][:3], abs=1e-3)


def test_tables_and_csv_tell_the_same(promoted: Desk, images: np.ndarray) -> None:
    asked = ("predict", "digits/*.png", "digits/deep/01.png", "-m", "tiny")

    table, lines = promoted.run(*asked), promoted.run(*asked, "--format", "csv", "--batch-size", "7")

    assert table.returncode == lines.returncode == 0, table.stderr + lines.stderr
    rows = list(csv.DictReader(lines.stdout.splitlines()))
    drawn = [line.split() for line in table.stdout.splitlines()[1:]]
    assert len(rows) == len(drawn) == len(images) // 3 + 1
    for row, cells in zip(rows, drawn, strict=True):
        assert cells == [row["file"], row["label"], f"{100 * float(row['confidence']):.1f}", "%"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("digits", "-m", "tiny@nobody"), "'tiny' has the aliases champion and the versions v1."),
        (("digits", "-m", "tiny@v9"), "There is no tiny@v9"),
        (("digits", "-m", "tiny:0"), "autoclf promote tiny --trial 0"),
        (("digits", "-m", "nobody"), "There is no model 'nobody'"),
        (("digits", "-m", "a/b"), "names no model"),
        (("nothing.png", "-m", "tiny"), "There is no file or folder 'nothing.png'"),
        (("digits/*.webp", "-m", "tiny"), "No file fits"),
        (("digits", "-m", "tiny", "--store", "elsewhere"), "There is no store at 'elsewhere'"),
    ],
)
def test_66_mistakes_are_told_without_a_traceback(
    promoted: Desk, images: np.ndarray, arguments: tuple[str, ...], told: str
) -> None:
    done = promoted.run("predict", *arguments)

    assert done.returncode == MISTAKE
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_64_a_package_whose_classes_were_swapped_is_refused(promoted: Desk, images: np.ndarray) -> None:
    assert promoted.run("promote", "tiny", "--name", "swapped").returncode == 0
    source = MlflowClient(tracking_uri=Store(promoted.store).tracking_uri).get_model_version("swapped", "1").source
    (folder,) = (path.parent for path in promoted.store.rglob("MLmodel") if source.rpartition("/")[2] in path.parts)
    path = folder / EXTRA / MANIFEST
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"class_names": values["class_names"][::-1]}))

    refused = promoted.run("predict", "digits", "-m", "swapped")

    assert refused.returncode == MISTAKE
    assert "is not the one that was registered" in refused.stderr
