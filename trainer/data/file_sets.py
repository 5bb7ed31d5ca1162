"""The data sets by name whose images are files, with the addresses and checksums of torchvision."""

from operator import attrgetter
from typing import Any

from trainer.data.class_names import LAND_USE, TRAFFIC_SIGNS
from trainer.data.published import BY_NAME, THREE, WHOLE, Archive, Kept, Published, Read

_VGG = "https://www.robots.ox.ac.uk/~vgg/data"
_IMAGENETTE = "https://s3.amazonaws.com/fast-ai-imageclas"
_SIGNS = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370"
_CLIP = "https://openaipublic.azureedge.net/clip/data"


def _of_pairs(attribute: str, place: int) -> Read:
    """Return what takes one side of the pairs of path and label in an attribute."""
    return lambda data: [pair[place] for pair in getattr(data, attribute)]


def _caltech_paths(data: Any) -> list[str]:
    numbered = zip(data.y, data.index, strict=True)
    return [f"{data.root}/101_ObjectCategories/{data.categories[y]}/image_{n:04d}.jpg" for y, n in numbered]


_LISTED = Kept(attrgetter("_image_files"), attrgetter("_labels"))
_SAMPLES = Kept(_of_pairs("samples", 0), _of_pairs("samples", 1))
_HIDDEN_SAMPLES = Kept(_of_pairs("_samples", 0), _of_pairs("_samples", 1))


def _imagenette(name: str, stem: str, size: str, md5: str) -> Published:
    """Return the set in one of its sizes; what it calls `val` is what results are reported on."""
    return Published(
        name=name,
        title=f"Imagenette ({size})",
        kind="Imagenette",
        parts={"train": {"split": "train", "size": size}, "test": {"split": "val", "size": size}},
        form="files",
        kept=Kept(
            _HIDDEN_SAMPLES.images, _HIDDEN_SAMPLES.labels, lambda data: [synonyms[0] for synonyms in data.classes]
        ),
        needs=(f"{stem}/train", f"{stem}/val"),
        archives=(Archive(f"{_IMAGENETTE}/{stem}.tgz", md5),),
    )


FILE_SETS = (
    Published(
        name="caltech101",
        title="Caltech 101",
        kind="Caltech101",
        parts=WHOLE,
        form="files",
        kept=Kept(_caltech_paths, attrgetter("y"), attrgetter("categories")),
        needs=("caltech101/101_ObjectCategories",),
        archives=(
            Archive(
                "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
                "3138e1922a9193bfa496528edbbc45d0",
            ),
        ),
        folder="caltech101",
        inner="caltech-101/101_ObjectCategories.tar.gz",
    ),
    Published(
        name="country211",
        title="Country211",
        kind="Country211",
        parts={"train": {"split": "train"}, "val": {"split": "valid"}, "test": {"split": "test"}},
        form="files",
        kept=_SAMPLES,
        needs=("country211/train", "country211/valid", "country211/test"),
        archives=(Archive(f"{_CLIP}/country211.tgz", "84988d7644798601126c29e9877aab6a"),),
    ),
    Published(
        name="dtd",
        title="Describable Textures",
        kind="DTD",
        parts=THREE,
        form="files",
        kept=_LISTED,
        needs=("dtd/dtd/images", "dtd/dtd/labels"),
        archives=(Archive(f"{_VGG}/dtd/download/dtd-r1.0.1.tar.gz", "fff73e5086ae6bdbea199a49dfb8a4c1"),),
        folder="dtd",
    ),
    Published(
        name="eurosat",
        title="EuroSAT",
        kind="EuroSAT",
        parts=WHOLE,
        form="files",
        image_size=64,
        kept=_SAMPLES,
        class_names=LAND_USE,
        needs=("eurosat/2750",),
        archives=(
            Archive(
                "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                "c8fa014336c82ac7804f0398fcb19387",
            ),
        ),
        folder="eurosat",
    ),
    Published(
        name="fgvc_aircraft",
        title="FGVC Aircraft",
        kind="FGVCAircraft",
        parts=THREE,
        form="files",
        kept=_LISTED,
        needs=("fgvc-aircraft-2013b/data",),
        archives=(Archive(f"{_VGG}/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz", None),),
    ),
    Published(
        name="flowers102",
        title="Oxford Flowers 102",
        kind="Flowers102",
        parts=THREE,
        form="files",
        kept=_LISTED,
        needs=("flowers-102/jpg", "flowers-102/imagelabels.mat", "flowers-102/setid.mat"),
        archives=(
            Archive(f"{_VGG}/flowers/102/102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
            Archive(f"{_VGG}/flowers/102/imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
            Archive(f"{_VGG}/flowers/102/setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
        ),
        folder="flowers-102",
    ),
    Published(
        name="food101",
        title="Food-101",
        kind="Food101",
        parts=BY_NAME,
        form="files",
        kept=_LISTED,
        needs=("food-101/images", "food-101/meta"),
        archives=(Archive("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz", "85eeb15f3717b99a5da872d97d918f87"),),
    ),
    Published(
        name="gtsrb",
        title="German Traffic Signs",
        kind="GTSRB",
        parts=BY_NAME,
        form="files",
        kept=_HIDDEN_SAMPLES,
        class_names=TRAFFIC_SIGNS,
        needs=("gtsrb/GTSRB/Training", "gtsrb/GTSRB/Final_Test/Images", "gtsrb/GT-final_test.csv"),
        archives=(
            Archive(f"{_SIGNS}/GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478"),
            Archive(f"{_SIGNS}/GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
            Archive(f"{_SIGNS}/GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
        ),
        folder="gtsrb",
        formats=("PPM",),
        group=r"\d+/\d+(?=_\d+\.ppm$)",  # class and track: thirty frames of a drive past one sign
    ),
    _imagenette("imagenette", "imagenette2", "full", "fe2fc210e6bb7c5664d602c3cd71e612"),
    _imagenette("imagenette_160", "imagenette2-160", "160px", "e793b78cc4c9e9a4ccc0c1155377a412"),
    Published(
        name="oxford_pets",
        title="Oxford-IIIT Pets",
        kind="OxfordIIITPet",
        parts={"train": {"split": "trainval"}, "test": {"split": "test"}},
        form="files",
        kept=Kept(attrgetter("_images"), attrgetter("_labels")),
        needs=("oxford-iiit-pet/images", "oxford-iiit-pet/annotations"),
        archives=(
            Archive(f"{_VGG}/pets/data/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
            Archive(f"{_VGG}/pets/data/annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
        ),
        folder="oxford-iiit-pet",
    ),
    Published(
        name="rendered_sst2",
        title="Rendered SST2",
        kind="RenderedSST2",
        parts=THREE,
        form="files",
        kept=_HIDDEN_SAMPLES,
        needs=("rendered-sst2/train", "rendered-sst2/valid", "rendered-sst2/test"),
        archives=(Archive(f"{_CLIP}/rendered-sst2.tgz", "2384d08e9dcfa4bd55b324e610496ee5"),),
    ),
    Published(
        name="sun397",
        title="SUN397",
        kind="SUN397",
        parts=WHOLE,
        form="files",
        kept=_LISTED,
        needs=("SUN397",),
        archives=(
            Archive("http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz", "8ca2778205c41d23104230ba66911c7a"),
        ),
    ),
)
