"""Every data set of the catalogue in small, in the files that its publisher offers.

The upper half of a picture is of one grey that tells its class, the lower half is noise that tells it from all others.
"""

import bz2
import csv
import hashlib
import json
import pickle
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

Pixels = NDArray[np.uint8]
SPLIT_FILES = {"train": "train", "val": "valid", "test": "test"}  # as several sets call them


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was written."""

    class_names: Sequence[str]
    counts: Mapping[str, int]  # images of each split that is given
    attributes: Mapping[str, Any] = field(default_factory=dict)  # of torchvision's class: checksums


def grey_of(label: int) -> int:
    return 10 + 2 * label


def label_of(image: Pixels) -> int:
    """Read the label back from an image (H, W, C) of any size."""
    quarter = image[: max(1, len(image) // 4)]
    return round((float(quarter.mean()) - 10) / 2)


def picture(label: int, seed: int, side: int = 16) -> Pixels:
    pixels = np.full((side, side), grey_of(label), dtype=np.uint8)
    lower = pixels[side // 2 :]
    lower[...] = np.random.default_rng(seed).integers(0, 256, lower.shape)
    return pixels


def pictures(labels: Sequence[int], *, first_seed: int = 0, side: int = 16) -> Pixels:
    return np.stack([picture(label, first_seed + n, side) for n, label in enumerate(labels)])


def in_turn(num_classes: int, each: int) -> list[int]:
    """Labels with so many of each class, mixed."""
    return [n % num_classes for n in range(num_classes * each)]


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_bytes(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_picture(path: Path, label: int, seeds: Iterator[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(picture(label, next(seeds))).convert("RGB")
    image.save(path, format={".ppm": "PPM", ".png": "PNG"}.get(path.suffix, "JPEG"), quality=95)


def idx(values: NDArray[Any]) -> bytes:
    kinds = {"uint8": (8, ">u1"), "int32": (12, ">i4")}
    kind, dtype = kinds[values.dtype.name]
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape)
    return header + values.astype(dtype).tobytes()


def mnist(kind: str, class_names: Sequence[str], root: Path) -> Sample:
    for part, each, seed in (("train", 3, 0), ("t10k", 1, 1000)):
        labels = in_turn(10, each)
        folder = root / kind / "raw"
        write_bytes(folder / f"{part}-images-idx3-ubyte", idx(pictures(labels, first_seed=seed, side=28)))
        write_bytes(folder / f"{part}-labels-idx1-ubyte", idx(np.array(labels, np.uint8)))
    return Sample(class_names=class_names, counts={"train": 30, "test": 10})


def emnist(split: str, class_names: Sequence[str], root: Path, *, first: int = 0) -> Sample:
    for part, each, seed in (("train", 2, 0), ("test", 1, 1000)):
        labels = in_turn(len(class_names), each)
        start = root / "EMNIST" / "raw" / f"emnist-{split}-{part}"
        turned = pictures(labels, first_seed=seed, side=28).swapaxes(1, 2)
        write_bytes(start.with_name(f"{start.name}-images-idx3-ubyte"), idx(turned))
        numbers = np.array(labels, np.uint8) + np.uint8(first)
        write_bytes(start.with_name(f"{start.name}-labels-idx1-ubyte"), idx(numbers))
    return Sample(class_names=class_names, counts={"train": 2 * len(class_names), "test": len(class_names)})


def qmnist(root: Path) -> Sample:
    for part, each, seed in (("train", 2, 0), ("test", 1, 1000)):
        labels = np.array(in_turn(10, each), np.int32)
        details = np.full((len(labels), 7), 99, np.int32)
        start = root / "QMNIST" / "raw" / f"qmnist-{part}"
        images = pictures(labels.tolist(), first_seed=seed, side=28)
        write_bytes(start.with_name(f"{start.name}-images-idx3-ubyte"), idx(images))
        write_bytes(start.with_name(f"{start.name}-labels-idx2-int"), idx(np.column_stack([labels, details])))
    return Sample(class_names=DIGITS, counts={"train": 20, "test": 10})


def cifar100(root: Path) -> Sample:
    folder = root / "cifar-100-python"
    for part, each, seed in (("train", 2, 0), ("test", 1, 1000)):
        labels = in_turn(2, each)
        grey = pictures(labels, first_seed=seed, side=32)
        rows = np.repeat(grey[:, None], 3, axis=1).reshape(len(labels), -1)
        write_bytes(folder / part, pickle.dumps({"data": rows, "fine_labels": labels}))
    write_bytes(folder / "meta", pickle.dumps({"fine_label_names": ["apple", "aquarium_fish"]}))
    sums = {
        "train_list": [["train", md5(folder / "train")]],
        "test_list": [["test", md5(folder / "test")]],
        "meta": {"filename": "meta", "key": "fine_label_names", "md5": md5(folder / "meta")},
    }
    return Sample(class_names=["apple", "aquarium fish"], counts={"train": 4, "test": 2}, attributes=sums)


def semeion(root: Path) -> Sample:
    """Black and white: as many white pixels in the first row as the label says."""
    lines = []
    for seed, label in enumerate(in_turn(10, 3)):
        bits = np.random.default_rng(seed).integers(0, 2, (16, 16))
        bits[0] = np.arange(16) < label
        lines.append(" ".join(f"{value:.4f}" for value in (*bits.flat, *np.eye(10)[label])))
    path = write_bytes(root / "semeion.data", "\n".join(lines).encode())
    return Sample(class_names=DIGITS, counts={"train": 30}, attributes={"md5_checksum": md5(path)})


def stl10(root: Path) -> Sample:
    folder = root / "stl10_binary"
    for part, each, seed in (("train", 2, 0), ("test", 1, 1000)):
        labels = in_turn(3, each)
        columns_first = np.repeat(pictures(labels, first_seed=seed, side=96).swapaxes(1, 2)[:, None], 3, axis=1)
        write_bytes(folder / f"{part}_X.bin", columns_first.tobytes())
        write_bytes(folder / f"{part}_y.bin", (np.array(labels, np.uint8) + np.uint8(1)).tobytes())
    write_bytes(folder / "unlabeled_X.bin", b"")
    write_bytes(folder / "class_names.txt", b"airplane\nbird\ncar\n")
    names = {"train_list": ("train_X.bin", "train_y.bin", "unlabeled_X.bin"), "test_list": ("test_X.bin", "test_y.bin")}
    sums = {key: [[name, md5(folder / name)] for name in files] for key, files in names.items()}
    return Sample(class_names=["airplane", "bird", "car"], counts={"train": 6, "test": 3}, attributes=sums)


def svhn(root: Path) -> Sample:
    root.mkdir(parents=True, exist_ok=True)
    sums = {}
    for part, each, seed in (("train", 2, 0), ("test", 1, 1000)):
        labels = np.array(in_turn(10, each))
        images = np.repeat(pictures(labels.tolist(), first_seed=seed, side=32)[..., None], 3, axis=-1)
        path = root / f"{part}_32x32.mat"
        savemat(path, {"X": images.transpose(1, 2, 3, 0), "y": np.where(labels == 0, 10, labels)[:, None]})
        sums[part] = ["", path.name, md5(path)]
    return Sample(class_names=DIGITS, counts={"train": 20, "test": 10}, attributes={"split_list": sums})


def usps(root: Path) -> Sample:
    for name, each, seed in (("usps.bz2", 2, 0), ("usps.t.bz2", 1, 1000)):
        labels = in_turn(10, each)
        lines = [
            f"{label + 1} "
            + " ".join(f"{n}:{value:.6f}" for n, value in enumerate((image.ravel() + 0.3) / 127.5 - 1, 1))
            for label, image in zip(labels, pictures(labels, first_seed=seed).astype(float), strict=True)
        ]
        write_bytes(root / name, bz2.compress("\n".join(lines).encode()))
    return Sample(class_names=DIGITS, counts={"train": 20, "test": 10})


def caltech101(root: Path) -> Sample:
    seeds = count()
    for label, name in enumerate(("Faces_easy", "accordion")):
        for number in (1, 2, 3):
            write_picture(root / f"caltech101/101_ObjectCategories/{name}/image_{number:04}.jpg", label, seeds)
    (root / "caltech101/101_ObjectCategories/BACKGROUND_Google").mkdir()
    return Sample(class_names=["Faces easy", "accordion"], counts={"train": 6})


def country211(root: Path) -> Sample:
    seeds = count()
    for folder in SPLIT_FILES.values():
        for label, name in enumerate(("AD", "ZW")):
            write_picture(root / f"country211/{folder}/{name}/1.jpg", label, seeds)
    return Sample(class_names=["AD", "ZW"], counts={"train": 2, "val": 2, "test": 2})


def dtd(root: Path) -> Sample:
    seeds = count()
    for number, split in enumerate(SPLIT_FILES):
        paths = [f"{name}/{name}_{number:04}.jpg" for name in ("banded", "polka-dotted")]
        for label, path in enumerate(paths):
            write_picture(root / "dtd/dtd/images" / path, label, seeds)
        write_bytes(root / f"dtd/dtd/labels/{split}1.txt", "\n".join(paths).encode())
    return Sample(class_names=["banded", "polka-dotted"], counts={"train": 2, "val": 2, "test": 2})


def eurosat(root: Path) -> Sample:
    seeds = count()
    folders = ("AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop",
               "Residential", "River", "SeaLake")  # fmt: skip
    for label, name in enumerate(folders):
        for number in (1, 2, 3):
            write_picture(root / f"eurosat/2750/{name}/{name}_{number}.jpg", label, seeds)
    names = ["annual crop", "forest", "herbaceous vegetation", "highway", "industrial", "pasture", "permanent crop",
             "residential", "river", "sea or lake"]  # fmt: skip
    return Sample(class_names=names, counts={"train": 30})


def fgvc_aircraft(root: Path) -> Sample:
    seeds, data = count(), root / "fgvc-aircraft-2013b/data"
    names = ["707-320", "F-16A/B"]
    for number, split in enumerate(SPLIT_FILES):
        lines = [f"{number}{label} {name}" for label, name in enumerate(names)]
        for label, line in enumerate(lines):
            write_picture(data / f"images/{line.split()[0]}.jpg", label, seeds)
        write_bytes(data / f"images_variant_{split}.txt", "\n".join(lines).encode())
    write_bytes(data / "variants.txt", "\n".join(names).encode())
    return Sample(class_names=names, counts={"train": 2, "val": 2, "test": 2})


def flowers102(root: Path) -> Sample:
    from trainer.libraries import import_torchvision

    seeds, folder = count(), root / "flowers-102"
    labels = np.array(in_turn(102, 3))
    for number, label in enumerate(labels.tolist(), 1):
        write_picture(folder / f"jpg/image_{number:05}.jpg", label, seeds)
    thirds = np.arange(1, 307).reshape(3, 102)
    savemat(folder / "imagelabels.mat", {"labels": labels + 1})
    savemat(folder / "setid.mat", dict(zip(("trnid", "valid", "tstid"), thirds, strict=True)))
    sums = {
        "label": ("imagelabels.mat", md5(folder / "imagelabels.mat")),
        "setid": ("setid.mat", md5(folder / "setid.mat")),
    }
    return Sample(
        class_names=import_torchvision().datasets.Flowers102.classes,
        counts={"train": 102, "val": 102, "test": 102},
        attributes={"_file_dict": sums},
    )


def food101(root: Path) -> Sample:
    seeds, folder = count(), root / "food-101"
    for split, numbers in (("train", (1, 2)), ("test", (3,))):
        listed = {name: [f"{name}/{number}" for number in numbers] for name in ("baby_back_ribs", "apple_pie")}
        for name, paths in listed.items():
            for path in paths:
                write_picture(folder / f"images/{path}.jpg", sorted(listed).index(name), seeds)
        write_bytes(folder / f"meta/{split}.json", json.dumps(listed).encode())
    return Sample(class_names=["apple pie", "baby back ribs"], counts={"train": 4, "test": 2})


def gtsrb(root: Path) -> Sample:
    from trainer.data.class_names import TRAFFIC_SIGNS

    seeds, folder = count(), root / "gtsrb"
    rows = []
    for label in range(43):
        for track, frame in ((0, 0), (0, 1), (1, 0), (1, 1)):
            write_picture(folder / f"GTSRB/Training/{label:05}/{track:05}_{frame:05}.ppm", label, seeds)
        write_bytes(folder / f"GTSRB/Training/{label:05}/GT-{label:05}.csv", b"Filename;ClassId")
        rows.append({"Filename": f"{42 - label:05}.ppm", "ClassId": label})
        write_picture(folder / "GTSRB/Final_Test/Images" / f"{42 - label:05}.ppm", label, seeds)
    with (folder / "GT-final_test.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["Filename", "ClassId"], delimiter=";")
        table.writeheader()
        table.writerows(rows)
    return Sample(class_names=TRAFFIC_SIGNS, counts={"train": 172, "test": 43})


def imagenette(stem: str, root: Path) -> Sample:
    seeds = count()
    for split, numbers in (("train", (1, 2)), ("val", (3,))):
        for label, folder in enumerate(("n01440764", "n02102040")):
            for number in numbers:
                write_picture(root / f"{stem}/{split}/{folder}/{folder}_{number}.JPEG", label, seeds)
    return Sample(class_names=["tench", "English springer"], counts={"train": 4, "test": 2})


def oxford_pets(root: Path) -> Sample:
    seeds, folder = count(), root / "oxford-iiit-pet"
    for split, numbers in (("trainval", (1, 2)), ("test", (3,))):
        lines = []
        for label, name in enumerate(("Abyssinian", "american_bulldog")):
            for number in numbers:
                write_picture(folder / f"images/{name}_{number}.jpg", label, seeds)
                lines.append(f"{name}_{number} {label + 1} 1 1")
        write_bytes(folder / f"annotations/{split}.txt", "\n".join(lines).encode())
    return Sample(class_names=["Abyssinian", "American Bulldog"], counts={"train": 4, "test": 2})


def rendered_sst2(root: Path) -> Sample:
    seeds = count()
    for folder in SPLIT_FILES.values():
        for label, name in enumerate(("negative", "positive")):
            write_picture(root / f"rendered-sst2/{folder}/{name}/1.png", label, seeds)
    return Sample(class_names=["negative", "positive"], counts={"train": 2, "val": 2, "test": 2})


def sun397(root: Path) -> Sample:
    seeds = count()
    names = ("abbey", "apartment_building/outdoor")
    for label, name in enumerate(names):
        for number in (1, 2, 3):
            write_picture(root / f"SUN397/a/{name}/sun_{number}.jpg", label, seeds)
    write_bytes(root / "SUN397/ClassName.txt", "\n".join(f"/a/{name}" for name in names).encode())
    return Sample(class_names=["abbey", "apartment building/outdoor"], counts={"train": 6})


DIGITS = list("0123456789")
FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
CAPITALS = [chr(code) for code in range(ord("A"), ord("Z") + 1)]
SMALL = [letter.lower() for letter in CAPITALS]

WRITERS: Mapping[str, Callable[[Path], Sample]] = {
    "caltech101": caltech101,
    "cifar100": cifar100,
    "country211": country211,
    "dtd": dtd,
    "emnist": partial(emnist, "balanced", [*DIGITS, *CAPITALS, *(f"small {letter}" for letter in "abdefghnqrt")]),
    "emnist_byclass": partial(emnist, "byclass", [*DIGITS, *CAPITALS, *(f"small {letter}" for letter in SMALL)]),
    "emnist_digits": partial(emnist, "digits", DIGITS),
    "emnist_letters": partial(emnist, "letters", SMALL, first=1),
    "eurosat": eurosat,
    "fashion_mnist": partial(mnist, "FashionMNIST", FASHION),
    "fgvc_aircraft": fgvc_aircraft,
    "flowers102": flowers102,
    "food101": food101,
    "gtsrb": gtsrb,
    "imagenette": partial(imagenette, "imagenette2"),
    "imagenette_160": partial(imagenette, "imagenette2-160"),
    "kmnist": partial(mnist, "KMNIST", ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]),
    "mnist": partial(mnist, "MNIST", DIGITS),
    "oxford_pets": oxford_pets,
    "qmnist": qmnist,
    "rendered_sst2": rendered_sst2,
    "semeion": semeion,
    "stl10": stl10,
    "sun397": sun397,
    "svhn": svhn,
    "usps": usps,
}
