"""What a command calls a model."""

from pathlib import Path

import pytest

from search.errors import StudyError
from serving.reference import Folder, OfTrial, Registered, read_model, read_reference
from tests.serving.packages import make_package


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pets@champion", Registered("pets", "champion", None)),
        ("pets", Registered("pets", "champion", None)),
        ("pets@staging-2", Registered("pets", "staging-2", None)),
        ("pets@v12", Registered("pets", None, "12")),
        ("my.pets_2:7", OfTrial("my.pets_2", 7)),
    ],
)
def test_names_are_read(text: str, found: object) -> None:
    assert read_reference(text) == found


def test_a_folder_is_one_only_with_a_package(tmp_path: Path) -> None:
    folder = make_package(tmp_path / "package")

    assert read_reference(str(folder)) == Folder(folder)
    with pytest.raises(StudyError, match="a folder without a package"):
        read_reference(str(tmp_path))


@pytest.mark.parametrize("text", ["", "@champion", "pets@", "pets@a@b", "pets:x", "../pets", "a/b@champion", "pets:-1"])
def test_what_names_nothing_is_refused_with_what_would(text: str) -> None:
    with pytest.raises(StudyError, match="Write MODEL@ALIAS"):
        read_reference(text)


def test_a_trial_has_no_package() -> None:
    with pytest.raises(StudyError, match="version 3 of a model is pets@v3"):
        read_model("pets:3")


@pytest.mark.parametrize("text", ["pets@champion", "pets@v12", "pets:7"])
def test_what_is_read_is_written_alike(text: str) -> None:
    assert str(read_reference(text)) == text
