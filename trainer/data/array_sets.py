"""The data sets by name whose images are arrays of one size, with the addresses and checksums of torchvision."""

from operator import attrgetter
from typing import Any

from trainer.data.class_names import BALANCED, BY_CLASS, DIGITS, LETTERS
from trainer.data.published import BY_FLAG, BY_NAME, Archive, Kept, Parts, Published

_TARGETS = Kept(attrgetter("data"), attrgetter("targets"))
_LABELS = Kept(attrgetter("data"), attrgetter("labels"))
_LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass"
_QMNIST = "https://raw.githubusercontent.com/facebookresearch/qmnist/master"


def _without_legacy(_data: object) -> bool:
    """Answer that there are no files of old versions, which are neither looked for nor part of the identity."""
    return False


def _idx(
    name: str,
    title: str,
    kind: str,
    *,
    parts: Parts = BY_FLAG,
    archives: tuple[Archive, ...],
    needs: tuple[str, ...] = (),
    **options: Any,
) -> Published:
    """Return a set in the form of MNIST: files of 28 x 28 grey images and of labels."""
    return Published(
        name=name,
        title=title,
        kind=kind,
        parts=parts,
        form="arrays",
        image_size=28,
        kept=_TARGETS,
        needs=needs or tuple(f"{kind}/raw/{archive.file_name.removesuffix('.gz')}" for archive in archives),
        archives=archives,
        folder=f"{kind}/raw",
        attributes={"_check_legacy_exist": _without_legacy},
        **options,
    )


def _like_mnist(name: str, title: str, kind: str, base: str, *sums: str, **options: Any) -> Published:
    """Return a set in the four files of MNIST; `sums` are theirs, in this order."""
    files = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    archives = (Archive(f"{base}{file}", md5) for file, md5 in zip(files, sums, strict=True))
    return _idx(name, title, kind, archives=tuple(archives), **options)


def _emnist(name: str, split: str, class_names: tuple[str, ...], **options: Any) -> Published:
    """Return one of the sets that share EMNIST's archive."""
    zipped = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    files = [f"{part}-{what}-ubyte" for part in ("train", "test") for what in ("images-idx3", "labels-idx1")]
    return _idx(
        name,
        f"EMNIST ({split})",
        "EMNIST",
        parts={"train": {"split": split, "train": True}, "test": {"split": split, "train": False}},
        needs=tuple(f"EMNIST/raw/emnist-{split}-{file}" for file in files),
        archives=(Archive(zipped, "58c8d27c78d21e728a6bc7b3cc06412e"),),
        inner="gzip/*.gz",
        class_names=class_names,
        is_turned=True,
        **options,
    )


ARRAY_SETS = (
    Published(
        name="cifar100",
        title="CIFAR-100",
        kind="CIFAR100",
        parts=BY_FLAG,
        form="arrays",
        image_size=32,
        kept=_TARGETS,
        needs=("cifar-100-python",),
        archives=(
            Archive("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
        ),
    ),
    _emnist("emnist", "balanced", BALANCED),
    _emnist("emnist_byclass", "byclass", BY_CLASS),
    _emnist("emnist_digits", "digits", DIGITS),
    _emnist("emnist_letters", "letters", LETTERS, first_label=1),
    _like_mnist(
        "fashion_mnist",
        "Fashion-MNIST",
        "FashionMNIST",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    _like_mnist(
        "kmnist",
        "Kuzushiji-MNIST",
        "KMNIST",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ),
    _like_mnist(
        "mnist",
        "MNIST",
        "MNIST",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
        class_names=DIGITS,
    ),
    _idx(
        "qmnist",
        "QMNIST",
        "QMNIST",
        parts={"train": {"what": "train"}, "test": {"what": "test"}},
        archives=(
            Archive(f"{_QMNIST}/qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            Archive(f"{_QMNIST}/qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
            Archive(f"{_QMNIST}/qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            Archive(f"{_QMNIST}/qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ),
        class_names=DIGITS,
    ),
    Published(
        name="semeion",
        title="Semeion",
        kind="SEMEION",
        parts={"train": {"download": False}},  # its class would download unasked
        form="arrays",
        image_size=16,
        kept=_LABELS,
        class_names=DIGITS,
        needs=("semeion.data",),
        archives=(
            Archive(
                "http://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data",
                "cb545d371d2ce14ec121470795a77432",
            ),
        ),
    ),
    Published(
        name="stl10",
        title="STL-10",
        kind="STL10",
        parts=BY_NAME,
        form="arrays",
        image_size=96,
        kept=_LABELS,
        needs=("stl10_binary",),
        archives=(
            Archive("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz", "91f7769df0f17e558f3565bffb0c7dfb"),
        ),
    ),
    Published(
        name="svhn",
        title="SVHN",
        kind="SVHN",
        parts=BY_NAME,
        form="arrays",
        image_size=32,
        kept=_LABELS,
        class_names=DIGITS,
        needs=("train_32x32.mat", "test_32x32.mat"),
        archives=(
            Archive("http://ufldl.stanford.edu/housenumbers/train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
            Archive("http://ufldl.stanford.edu/housenumbers/test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
        ),
    ),
    Published(
        name="usps",
        title="USPS",
        kind="USPS",
        parts=BY_FLAG,
        form="arrays",
        image_size=16,
        kept=_TARGETS,
        class_names=DIGITS,
        needs=("usps.bz2", "usps.t.bz2"),
        archives=(
            Archive(f"{_LIBSVM}/usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"),
            Archive(f"{_LIBSVM}/usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"),
        ),
    ),
)
