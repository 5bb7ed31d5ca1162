from pathlib import Path

import pytest

from autoclf.options import SOURCES
from trainer.data import Cifar10, Digits, Folder, Named, Npz, Source, Table, Torchvision, parse_source
from trainer.data.catalogue import CATALOGUE
from trainer.data.sources import FORMS
from trainer.errors import DataError


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("digits", Digits()),
        ("cifar10", Cifar10()),
        ("mnist", Torchvision(CATALOGUE["mnist"])),
        ("npz:some/file.npz", Npz(Path("some/file.npz"))),
        ("npz:C:odd.npz", Npz(Path("C:odd.npz"))),
        ("folder:/images", Folder(Path("/images"))),
        ("folder:/images?test=val", Folder(Path("/images"), "val")),
        ("folder:~/images", Folder(Path.home() / "images")),
        ("files:pets", Named(Path("pets"))),
        ("files:pets?label=^(a|b)?label=", Named(Path("pets"), "^(a|b)?label=")),
        ("csv:a.csv", Table(Path("a.csv"))),
    ],
)
def test_a_source_is_read_as_it_is_written(text: str, source: Source) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("cifar", "Did you mean 'cifar10'"),
        ("digit", "Did you mean 'digits'"),
        ("folders:/images", "Did you mean 'folder:'"),
        ("images.npz", "Write npz:images.npz"),
        ("npz:", "npz:FILE"),
        ("folder:", "folder:DIR"),
        ("", r"A source is a name \(digits, cifar10, mnist, ...\), npz:FILE, folder:DIR, files:DIR or csv:FILE"),
        ("\0", "A source is a name"),
        ("", "The names are caltech101, cifar10, cifar100, .*, usps"),
        ("minst", "No data source is called 'minst'. Did you mean 'mnist'"),
        ("FashionMNIST", "Did you mean 'fashion_mnist'"),
        ("cifar-100", "Did you mean 'cifar100'"),
        ("labels.csv", "Write csv:labels.csv"),
        ("file:x", "Did you mean 'files:'"),
        ("files:", "files:DIR"),
    ],
)
def test_what_is_no_source_is_answered_with_the_forms(text: str, remedy: str) -> None:
    with pytest.raises(DataError, match=remedy):
        parse_source(text)


def test_the_bare_name_of_a_folder_is_answered_with_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"It is a folder: write folder:{tmp_path}"):
        parse_source(str(tmp_path))


@pytest.mark.parametrize(
    "text", ["digits", "cifar10", "svhn", "npz:a.npz", "folder:b", "files:c", "files:c?label=(x)", "csv:d.csv"]
)
def test_a_source_prints_as_it_is_written(text: str) -> None:
    assert str(parse_source(text)) == text


def test_the_command_line_names_the_same_forms() -> None:
    assert SOURCES == FORMS
