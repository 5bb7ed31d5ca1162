"""How data sets come: from a server of this machine, from archives by hand, or not at all."""

import gzip
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.trainer.data.data_samples import prepared
from tests.trainer.data.published_samples import WRITERS, food101, write_bytes
from trainer.data import Torchvision, inspect
from trainer.data.catalogue import CATALOGUE
from trainer.data.published import Published
from trainer.errors import DataError


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve files by their names; yields the address and the names that are asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            asked.append(name)
            self.send_response(200 if name in files else 404)
            self.send_header("Content-Length", str(len(files.get(name, b""))))
            self.end_headers()
            self.wfile.write(files.get(name, b""))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def packed(name: str, root: Path) -> dict[str, bytes]:
    """Write a small data set below `root`, and return its archives as their publisher would offer them."""
    WRITERS[name](root)
    return {archive.file_name: pack(CATALOGUE[name], archive.file_name, root) for archive in CATALOGUE[name].archives}


def pack(entry: Published, file_name: str, root: Path) -> bytes:
    folder = root / entry.folder
    if file_name.endswith((".tgz", ".tar.gz")):
        return tape(folder)
    if file_name == "gzip.zip":
        return zipped({f"gzip/{path.name}.gz": gzip.compress(path.read_bytes()) for path in folder.iterdir()})
    if file_name == "caltech-101.zip":
        return zipped({"__MACOSX/x": b"", "caltech-101/101_ObjectCategories.tar.gz": tape(folder)})
    if file_name.endswith(".zip"):
        return zipped({str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    if file_name.endswith(".gz"):
        return gzip.compress((folder / file_name.removesuffix(".gz")).read_bytes())
    return (folder / file_name).read_bytes()


def tape(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return buffer.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def offered(name: str, address: str, files: Mapping[str, bytes]) -> Torchvision:
    """Return the data set with another address, and the checksums of these files."""
    archives = tuple(
        replace(
            archive,
            url=f"{address}/{archive.file_name}",
            md5=archive.md5 and hashlib.md5(files[archive.file_name]).hexdigest(),
        )
        for archive in CATALOGUE[name].archives
    )
    return Torchvision(replace(CATALOGUE[name], archives=archives))


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize(
    "name", ["mnist", "usps", "food101", "eurosat", "emnist", "caltech101", "gtsrb", "fgvc_aircraft"]
)
def test_a_set_comes_from_its_server_once(tmp_path: Path, name: str) -> None:
    files = packed(name, tmp_path / "publisher") if name != "gtsrb" else signs(tmp_path / "publisher")
    with serving(files) as (address, asked):
        source = offered(name, address, files)
        first = prepared(source, tmp_path)
        num_asked = len(asked)
        second = prepared(source, tmp_path)

    assert first == second
    assert set(asked) == files.keys()
    assert len(asked) == num_asked
    kept = [path.name for path in (tmp_path / "data").rglob("*")]
    assert not set(kept) & files.keys() or name == "usps"  # which is read as it comes


def signs(root: Path) -> dict[str, bytes]:
    """Return the three archives of the traffic signs."""
    WRITERS["gtsrb"](root)
    files = {str(p.relative_to(root / "gtsrb")): p.read_bytes() for p in (root / "gtsrb").rglob("*") if p.is_file()}
    parts: dict[str, Callable[[str], bool]] = {
        "GTSRB-Training_fixed.zip": lambda path: "Training" in path,
        "GTSRB_Final_Test_Images.zip": lambda path: "Final_Test" in path,
        "GTSRB_Final_Test_GT.zip": lambda path: path.endswith("GT-final_test.csv"),
    }
    return {name: zipped({p: c for p, c in files.items() if is_mine(p)}) for name, is_mine in parts.items()}


def test_a_set_that_came_is_as_if_it_had_been_there(tmp_path: Path) -> None:
    files = packed("food101", tmp_path / "publisher")
    with serving(files) as (address, _):
        source = offered("food101", address, files)
        came = prepared(source, tmp_path)
    food101(tmp_path / "by hand/data")

    assert came.fingerprint == prepared("food101", tmp_path / "by hand").fingerprint


def test_a_set_may_be_inspected_before_it_was_prepared(tmp_path: Path) -> None:
    files = packed("food101", tmp_path / "publisher")
    with serving(files) as (address, _):
        found = inspect(offered("food101", address, files), cache=tmp_path / "c", data_dir=tmp_path / "data")

    assert found.counts == {"train": (2, 2), "test": (1, 1)}
    assert found.formats == {"JPEG": 6}


def test_another_file_than_the_published_one_is_not_taken(tmp_path: Path) -> None:
    files = packed("mnist", tmp_path / "publisher")
    with serving({**files, "t10k-labels-idx1-ubyte.gz": b"half a"}) as (address, _):
        source = offered("mnist", address, files)
        with pytest.raises(DataError, match=r"could not be downloaded from http.*t10k-labels.*corrupted"):
            prepared(source, tmp_path)

    assert left_in(tmp_path / "data") == []


def test_a_server_that_does_not_answer_is_told_with_what_to_do(tmp_path: Path) -> None:
    files = packed("mnist", tmp_path / "publisher")
    with serving({}) as (address, _):
        source = offered("mnist", address, files)

    with pytest.raises(DataError) as caught:  # the server is gone by now
        prepared(source, tmp_path)

    for part in ("MNIST could not be downloaded from", "refused", "MNIST/raw/train-images-idx3-ubyte", "put the files"):
        assert part in str(caught.value)
    assert left_in(tmp_path / "data") == []


def test_with_downloads_off_the_message_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepared("dtd", tmp_path, allow_download=False)

    for part in (
        f"Describable Textures is not in {tmp_path / 'data'}, and downloads are off",
        "dtd/dtd/images, dtd/dtd/labels",
        "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
        f"put the file into {tmp_path / 'data/dtd'} as it is",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["kmnist", "oxford_pets", "emnist_letters"])
def test_archives_by_hand_need_no_network_and_stay(tmp_path: Path, name: str) -> None:
    if name == "oxford_pets":
        WRITERS[name](tmp_path / "publisher")
        files = {f"{part}.tar.gz": tape_of(tmp_path / "publisher/oxford-iiit-pet", part) for part in PETS}
    else:
        files = packed(name, tmp_path / "publisher")
    for file_name, content in files.items():
        write_bytes(tmp_path / "data" / CATALOGUE[name].folder / file_name, content)

    data_set = prepared(offered(name, "http://127.0.0.1:1", files), tmp_path, allow_download=False)

    assert data_set.num_test > 0
    assert all((tmp_path / "data" / CATALOGUE[name].folder / file_name).is_file() for file_name in files)


PETS = ("images", "annotations")


def tape_of(folder: Path, part: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder / part, part)
    return buffer.getvalue()


def test_an_archive_by_hand_without_the_published_checksum_is_told(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "data/food-101.tar.gz", b"half a download")

    with pytest.raises(DataError, match=f"{path} has not the published checksum: it is damaged. Remove it"):
        prepared("food101", tmp_path)


def test_a_damaged_archive_of_unknown_checksum_is_told(tmp_path: Path) -> None:
    whole = packed("fgvc_aircraft", tmp_path / "publisher")["fgvc-aircraft-2013b.tar.gz"]
    write_bytes(tmp_path / "data/fgvc-aircraft-2013b.tar.gz", whole[: len(whole) // 2])

    with pytest.raises(DataError, match=r"fgvc-aircraft-2013b.tar.gz can't be unpacked, it is damaged"):
        prepared("fgvc_aircraft", tmp_path)
    assert left_in(tmp_path / "data") == ["fgvc-aircraft-2013b.tar.gz"]


def test_an_archive_with_something_else_in_it_is_told(tmp_path: Path) -> None:
    write_bytes(tmp_path / "data/fgvc-aircraft-2013b.tar.gz", tape(write_bytes(tmp_path / "x/y", b"").parent))

    with pytest.raises(DataError, match="The archives of FGVC Aircraft did not hold what belongs in them"):
        prepared("fgvc_aircraft", tmp_path)


def test_an_archive_that_reaches_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../../escaped"), io.BytesIO())
    write_bytes(tmp_path / "data/fgvc-aircraft-2013b.tar.gz", buffer.getvalue())

    with pytest.raises(DataError, match="can't be unpacked"):
        prepared("fgvc_aircraft", tmp_path)
    assert not list(tmp_path.rglob("escaped"))


def test_half_of_the_files_do_not_count_as_the_set(tmp_path: Path) -> None:
    files = packed("mnist", tmp_path / "publisher")
    write_bytes(tmp_path / "data/MNIST/raw/train-images-idx3-ubyte", b"torn")
    with serving(files) as (address, _):
        data_set = prepared(offered("mnist", address, files), tmp_path)

    assert (data_set.num_train, data_set.num_val, data_set.num_test) == (20, 10, 10)
