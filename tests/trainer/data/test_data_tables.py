from pathlib import Path

import numpy as np
import pytest

from tests.trainer.data.data_samples import found, noise, write_image
from trainer.data import load_data_set, open_split, prepare
from trainer.data.tables import scan_table
from trainer.errors import DataError


def table(root: Path, text: str, *, images: int = 12, encoding: str = "utf-8") -> Path:
    for number in range(images):
        write_image(root / f"img/{number}.png", noise(number))
    (root / "table.csv").write_text(text, encoding=encoding)
    return root / "table.csv"


def rows(*, header: str = "path,label", cells: str = "", count: int = 12) -> str:
    lines = [f"img/{n}.png,{'ab'[n % 2]}{cells.format(n=n)}" for n in range(count)]
    return "\n".join([header, *lines]) + "\n"


@pytest.mark.parametrize("header", ["path,label", "Image,Class", "filename,target", " file , category "])
def test_the_usual_names_of_columns_are_known(tmp_path: Path, header: str) -> None:
    tree = scan_table(table(tmp_path, rows(header=header)))

    assert tree.class_names == ("a", "b")
    assert tree.labels("train").tolist() == [0] * 6 + [1] * 6


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_any_usual_delimiter_is_seen(tmp_path: Path, delimiter: str) -> None:
    assert len(scan_table(table(tmp_path, rows().replace(",", delimiter))).files) == 12


def test_a_byte_order_mark_empty_lines_and_other_columns_do_no_harm(tmp_path: Path) -> None:
    text = 'id,path,note,label\n1,img/0.png,"a, b",x\n\n , , , \n2,img/1.png,,y\n'

    tree = scan_table(table(tmp_path, text, encoding="utf-8-sig"))

    assert [(f.path, f.class_name) for f in tree.files] == [("img/0.png", "x"), ("img/1.png", "y")]


def test_splits_of_the_table_are_kept(tmp_path: Path) -> None:
    text = rows(header="path,label,split").replace(",a\n", ",a,Train\n").replace(",b\n", ",b,train\n")
    text = text.replace("img/0.png,a,Train", "img/0.png,a,test").replace("img/1.png,b,train", "img/1.png,b,valid")

    tree = scan_table(table(tmp_path, text))

    assert tree.splits == ("train", "val", "test")
    assert [f.path for f in tree.files if f.split == "test"] == ["img/0.png"]


def test_images_of_one_patient_stay_together(tmp_path: Path) -> None:
    source = table(tmp_path, rows(header="path,label,patient", cells=",p{n}", count=40), images=40)
    text = source.read_text()
    for n in range(40):
        text = text.replace(f",p{n}\n", f",q{n // 4}\n")
    source.write_text(text)

    root = prepare(f"csv:{source}", cache=tmp_path / "cache", data_dir=tmp_path, image_size=12).root

    data_set = load_data_set(root)
    wanted = {n: noise(n) for n in range(40)}
    train = [
        next(n for n, pixels in wanted.items() if np.array_equal(pixels, image))
        for image in open_split(data_set, "train").images
    ]
    val = [
        next(n for n, pixels in wanted.items() if np.array_equal(pixels, image))
        for image in open_split(data_set, "val").images
    ]
    assert not {n // 4 for n in train} & {n // 4 for n in val}
    assert all(len([m for m in train if m // 4 == n // 4]) == 4 for n in train), "no group is torn"


def test_a_file_that_is_not_there_is_noted_and_not_left_out(tmp_path: Path) -> None:
    tree = scan_table(table(tmp_path, rows() + "img/none.png,a\n../../etc/passwd,a\n/etc/passwd,b\nimg,a\n"))

    reasons = {str(bad.path): bad.reason for bad in tree.unfit}
    assert reasons["img/none.png"] == "does not exist"
    assert reasons["../../etc/passwd"].startswith("is not below")
    assert reasons["img"].startswith("is ")
    assert len(tree.unfit) == 4


def test_a_link_out_of_the_folder_is_noted(tmp_path: Path) -> None:
    source = table(tmp_path / "in", rows() + "out.png,a\n")
    write_image(tmp_path / "secret.png", noise(99))
    (tmp_path / "in/out.png").symlink_to(tmp_path / "secret.png")

    assert [bad.reason for bad in scan_table(source).unfit] == ["is a link out of the folder"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "has no column 'path'; its columns are none"),
        ("pth,label\nimg/0.png,a\n", "Did you mean 'path'"),
        ("path,labels\nimg/0.png,a\n", "has no column 'label'.*Did you mean 'label'"),
        ("path,file,label\n", "path, file: which of them is the path"),
        ("path,label\nimg/0.png\n", "line 2: has 1 cells, 2 are needed"),
        ("path,label\nimg/0.png,\n", "line 2: has no label"),
        ("path,label\n,a\n", "line 2: has no path"),
        ("path,label\nimg/0.png,a\nimg/0.png,b\n", "line 3: img/0.png is listed twice: with another label"),
        ("path,label\nimg/0.png,a\n./img/0.png,a\n", "line 3: img/0.png is listed twice: leave one row out"),
        ("path,label,split\nimg/0.png,a,tain\n", "line 2: 'tain' is no split"),
        ("path,label\nimg/none.png,a\n", "lists no image that is there"),
        ('path,label\n"img/0.png,a\n', "is no table"),
        ("path,label\nimg/0.png,a\0\n", "is no table|cannot be printed"),
        (
            "path,label,split,group\nimg/0.png,a,train,p\nimg/1.png,a,test,p\nimg/2.png,b,train,\n",
            "group 'p' is in .* and in .*",
        ),
        ("path,label,split\nimg/0.png,a,train\nimg/1.png,b,test\n", "Class 'b' of test has no images in train"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path: Path, text: str, wanted: str) -> None:
    with pytest.raises(DataError, match=f"(?s){wanted}"):
        found(f"csv:{table(tmp_path, text)}")


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    text = "path,label\nimg/0.png,caf\u00e9\n"
    with pytest.raises(DataError, match="UTF-8"):
        found(f"csv:{table(tmp_path, text, encoding='latin-1')}")


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    table(tmp_path, rows())
    with pytest.raises(DataError, match=r"Did you mean 'table.csv'"):
        found(f"csv:{tmp_path}/tabel.csv")
    with pytest.raises(DataError, match="is not a table"):
        found(f"csv:{tmp_path}")
