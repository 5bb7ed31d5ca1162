"""What is written down of a data set that torchvision can read: its files, its parts and where it comes from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

from trainer.data.images import FORMATS
from trainer.data.splits import SplitName

Read = Callable[[Any], Any]  # takes an object of torchvision's class
Parts = Mapping[SplitName, Mapping[str, object]]

# Arguments of torchvision's class for the splits that are given, as most sets have them.
WHOLE: Parts = {"train": {}}
BY_FLAG: Parts = {"train": {"train": True}, "test": {"train": False}}
BY_NAME: Parts = {"train": {"split": "train"}, "test": {"split": "test"}}
THREE: Parts = {"train": {"split": "train"}, "val": {"split": "val"}, "test": {"split": "test"}}


@dataclass(frozen=True, slots=True)
class Archive:
    """One file as its publisher offers it."""

    url: str
    md5: str | None  # None where nobody published one

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Kept:
    """Where an object of torchvision's class keeps what it found."""

    images: Read  # (N, H, W), (N, H, W, 3) or (N, 3, H, W) of uint8, or the paths of N files
    labels: Read  # N whole numbers, or (N, 8) with them in front
    classes: Read = attrgetter("classes")  # names; not asked for where the entry has some


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A data set, its files where torchvision's class looks for them."""

    name: str  # as a user writes it
    title: str  # as people call it
    kind: str  # name of torchvision's class
    parts: Parts
    form: Literal["arrays", "files"]
    image_size: int | None = None  # pixels a side; None where the images are of several sizes
    kept: Kept
    class_names: Sequence[str] = ()  # where the class has none for people
    first_label: int = 0
    needs: tuple[str, ...]  # files and folders below the data folder that must be there
    archives: tuple[Archive, ...]
    folder: str = ""  # below the data folder, where the archives lie and are unpacked
    inner: str = ""  # pattern of archives in them that are unpacked there, too
    formats: tuple[str, ...] = FORMATS  # of the files, in Pillow's words; no other is opened
    group: str | None = None  # expression for the part of a path that images share which belong together
    is_turned: bool = False  # rows and columns stand swapped in the files
    attributes: Mapping[str, Any] = field(default_factory=dict)  # of the class, in place of its own
