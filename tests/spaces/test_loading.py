"""Finding a space by name or path, and what is said of one that cannot be read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import spaces
from spaces import SpaceError, load_space, preset_names, preset_text

SMALL = "budget: {rungs: [1]}\nparameters: {x: {int: [0, 1]}}\n"


def _refusal(name: str | Path, **options: Path) -> str:
    with pytest.raises(SpaceError) as caught:
        load_space(name, **options)
    return str(caught.value)


def test_the_presets_are_listed_in_alphabetical_order() -> None:
    assert preset_names() == ("cifar10", "classical", "digits", "finetune", "folder", "imbalanced", "probe")


def test_a_preset_is_loaded_by_its_name() -> None:
    assert load_space("digits").name == "digits"


def test_the_text_of_a_preset_is_a_space_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(preset_text("digits"), encoding="utf-8")

    assert load_space(tmp_path / "mine.yaml").fingerprint == load_space("digits").fingerprint


@pytest.mark.parametrize("name", ["mine.yaml", "mine.yml", "./mine.yaml", "plain"])
def test_a_file_is_loaded_from_the_folder_that_is_searched(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SMALL)

    space = load_space(name, search_in=tmp_path)

    assert space.name == name.removeprefix("./").partition(".")[0]
    assert space.file == tmp_path / name


def test_relative_paths_begin_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)

    assert load_space("mine.yaml").file == Path("mine.yaml")


def test_a_preset_goes_before_a_folder_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()

    assert load_space("digits", search_in=tmp_path).data.source == "digits"
    assert _refusal("./digits", search_in=tmp_path).endswith("is a folder: name a YAML file in it.")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("cifar", " Did you mean 'cifar10'?"), ("digit", " Did you mean 'digits'?"), ("zzz", ""), ("", "")],
)
def test_an_unknown_name_is_answered_with_the_nearest_and_all_others(name: str, hint: str, tmp_path: Path) -> None:
    assert _refusal(name, search_in=tmp_path) == (
        f"No space is called {name!r}.{hint} Known: cifar10, classical, digits, finetune, folder, imbalanced, probe. "
        f"A file of your own is named with its suffix: my-space.yaml."
    )


def test_the_text_of_an_unknown_preset_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"No space is called 'cifar'\. Did you mean 'cifar10'\?"):
        preset_text("cifar")


def test_a_long_or_impossible_name_is_no_space(tmp_path: Path) -> None:
    assert "No space is called 'aaaa" in _refusal("a" * 1000, search_in=tmp_path)
    assert "No space is called 'a\\x00b'" in _refusal("a\0b", search_in=tmp_path)
    assert "cannot be read: File name too long" in _refusal("a" * 1000 + ".yaml", search_in=tmp_path)
    assert "No space is called 'a\\x00.yaml'" in _refusal("a\0.yaml", search_in=tmp_path)


def test_a_missing_file_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "photos.yaml").write_text(SMALL)

    assert _refusal("photo.yaml", search_in=tmp_path) == (
        f"{tmp_path / 'photo.yaml'}: there is no such file. Did you mean 'photos.yaml'?"
    )
    assert _refusal("nowhere/x.yaml", search_in=tmp_path).endswith("there is no such file.")


def test_a_folder_is_no_space(tmp_path: Path) -> None:
    assert _refusal(tmp_path) == f"{tmp_path}: is a folder: name a YAML file in it."


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")

    assert _refusal(tmp_path / "pipe.yaml").endswith("is not a regular file: name a YAML file.")


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(10_000_000)

    assert _refusal(tmp_path / "large.yaml").endswith("has 10,000,000 bytes: a space has at most 1,000,000.")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_bytes("about: Größe".encode("latin-1"))

    assert _refusal(tmp_path / "old.yaml").endswith("is not text in UTF-8 (byte 0xf6 at position 9): save it as UTF-8.")


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "windows.yaml").write_bytes(SMALL.replace("\n", "\r\n").encode("utf-8-sig"))

    assert load_space(tmp_path / "windows.yaml").name == "windows"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(SMALL)
    (tmp_path / "secret.yaml").chmod(0)

    assert _refusal(tmp_path / "secret.yaml").endswith("cannot be read: Permission denied.")


def test_a_file_whose_name_is_no_name_needs_one_inside(tmp_path: Path) -> None:
    path = tmp_path / "my space.yaml"
    path.write_text(SMALL)

    assert _refusal(path) == (
        f"{path}:1: name: the file's name, 'my space', is no name for a space: write `name: my-space`."
    )

    path.write_text(f"name: mine\n{SMALL}")
    assert load_space(path).name == "mine"


def test_faults_name_the_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("budget: 3")
    monkeypatch.chdir(tmp_path)

    assert all(line.startswith("mine.yaml:1: ") for line in _refusal("mine.yaml").splitlines())


def test_every_public_name_is_listed_once_in_order() -> None:
    assert spaces.__all__ == sorted(set(spaces.__all__))
    assert all(hasattr(spaces, name) for name in spaces.__all__)


def test_the_kinds_of_public_things_are_what_they_say(parse: Callable[[str], spaces.SearchSpace]) -> None:
    assert isinstance(parse(SMALL), spaces.SearchSpace)
    assert issubclass(SpaceError, ValueError)
