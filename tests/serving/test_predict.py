"""From names on a command line to answers: every file has one, in its order."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from serving.files import image_files
from serving.predict import Answer, predict_files, ranked
from serving.predictor import load_predictor
from tests.serving.packages import make_package
from trainer.data.images import BadImage
from trainer.errors import DataError


def picture(path: Path, value: int, size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)
    return path


def test_files_folders_and_patterns_are_found_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "pets/a.png", "pets/deep/c.jpg", "pets/.hidden.png"):
        picture(Path(name), 1)
    Path("pets/notes.txt").write_text("x")
    Path("pets/odd").write_text("x")

    paths, unfit = image_files(["b.png", "pets", "pets/*", "pets/**/*.jpg", "pets/odd"])

    assert [str(path) for path in paths] == ["b.png", "pets/a.png", "pets/deep/c.jpg", "pets/odd"]
    assert not unfit


def test_links_out_of_a_folder_and_pipes_are_told_and_not_opened(tmp_path: Path) -> None:
    picture(tmp_path / "pets" / "a.png", 1)
    (tmp_path / "pets" / "out.png").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pets" / "pipe.png")

    paths, unfit = image_files([str(tmp_path / "pets")])

    assert [path.name for path in paths] == ["a.png"]
    assert {bad.path.name: bad.reason for bad in unfit} == {
        "out.png": "is a link out of the folder",
        "pipe.png": "is a named pipe",
    }


def test_what_stands_for_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for argument in ("nothing.png", "nothing*.png", "empty"):
        with pytest.raises(DataError, match=r"No|There is no"):
            image_files([str(tmp_path / argument)])


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_each_file_is_answered_in_its_place_and_a_bad_one_stops_nobody(tmp_path: Path, batch_size: int) -> None:
    predictor = load_predictor(make_package(tmp_path / "package"), name="pets")
    paths = [picture(tmp_path / f"{n}.png", 255 * (n % 2), size=(n + 1, 30)) for n in range(10)]
    paths[4].write_bytes(b"no image")
    paths.append(tmp_path / "missing.png")

    found = list(predict_files(predictor, paths, top_k=2, batch_size=batch_size))

    assert [answer.path for answer in found] == paths
    bad = {answer.path.name: answer.reason for answer in found if isinstance(answer, BadImage)}
    assert bad.keys() == {"4.png", "missing.png"}
    answers = [answer for answer in found if isinstance(answer, Answer)]
    assert [answer.labels[0] for answer in answers] == [
        "bright" if int(answer.path.stem) % 2 else "dark" for answer in answers
    ]
    assert all(answer.confidences[0] == pytest.approx(1 / (1 + np.exp(-6)), rel=1e-4) for answer in answers)


def test_files_that_are_all_bad_are_all_told(tmp_path: Path) -> None:
    predictor = load_predictor(make_package(tmp_path / "package"), name="pets")

    found = list(predict_files(predictor, [tmp_path / "a.png", tmp_path / "b.png"]))

    assert all(isinstance(answer, BadImage) for answer in found)
    assert len(found) == 2


@given(arrays(np.float32, st.integers(1, 12), elements=st.floats(0, 1, width=32)), st.integers(1, 20))
def test_classes_are_ranked_by_probability(probabilities: np.ndarray, top_k: int) -> None:
    names = [f"class {k}" for k in range(len(probabilities))]

    labels, confidences = ranked(probabilities, names, top_k)

    assert len(labels) == len(confidences) == min(top_k, len(names))
    assert list(confidences) == sorted(probabilities.tolist(), reverse=True)[:top_k]
    assert all(probabilities[names.index(label)] == value for label, value in zip(labels, confidences, strict=True))
