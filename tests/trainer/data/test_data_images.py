import os
import socket
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tests.trainer.data.data_samples import encoded, noise, png_with_header, write_image
from trainer.data.images import BadImage, decode, decode_as, examine, fit, fit_pixels, quiet_pillow, shown, to_rgb

GREY = 120
CORNERS = np.zeros((16, 16, 3), dtype=np.uint8)
CORNERS[:8, :8], CORNERS[:8, 8:], CORNERS[8:, :8] = (250, 0, 0), (0, 250, 0), (0, 0, 250)

STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # how each orientation stores an upright image
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def decoded(path: Path, size: int = 16) -> np.ndarray:
    with quiet_pillow():
        image = decode(path, size=size)
    assert not isinstance(image, BadImage), image.reason
    return image


def reason(path: Path) -> str:
    with quiet_pillow():
        image = decode(path, size=16)
    assert isinstance(image, BadImage)
    assert image.path == path
    return image.reason


@pytest.mark.parametrize("kind", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_an_image_is_turned_upright(tmp_path: Path, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](CORNERS))
    path = write_image(tmp_path / f"a.{kind}", stored, exif=exif, quality=100)

    image = decoded(path)

    assert np.abs(image[[3, 3, 12, 12], [3, 12, 3, 12]].astype(int) - CORNERS[[3, 3, 12, 12], [3, 12, 3, 12]]).max() < 9


def with_mode(mode: str, value: object) -> Image.Image:
    return Image.new(mode, (16, 16), value)


def palette_with_transparency() -> Image.Image:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([9, 9, 9, 200, 100, 50])
    image.info["transparency"] = 1
    return image


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        (with_mode("1", 1), "png", (255, 255, 255)),
        (with_mode("L", GREY), "png", (GREY, GREY, GREY)),
        (with_mode("RGB", (1, 2, 3)), "bmp", (1, 2, 3)),
        (with_mode("RGB", (1, 2, 3)).convert("P", palette=Image.Palette.ADAPTIVE), "gif", (1, 2, 3)),
        (palette_with_transparency(), "png", (255, 255, 255)),
        (with_mode("LA", (GREY, 0)), "png", (255, 255, 255)),
        (with_mode("LA", (GREY, 255)), "png", (GREY, GREY, GREY)),
        (with_mode("RGBA", (200, 0, 0, 0)), "png", (255, 255, 255)),
        (with_mode("RGBA", (200, 0, 0, 255)), "webp", (200, 0, 0)),
        (with_mode("RGBA", (0, 0, 0, 128)), "png", (127, 127, 127)),
        (with_mode("CMYK", (0, 255, 255, 0)), "tiff", (255, 0, 0)),
        (with_mode("I;16", GREY * 256 + 77), "png", (GREY, GREY, GREY)),
        (with_mode("I;16", GREY * 256 + 77), "tiff", (GREY, GREY, GREY)),
        (with_mode("I", GREY * 256 + 77), "tiff", (GREY, GREY, GREY)),
        (with_mode("F", 0.5), "tiff", (128, 128, 128)),
        (with_mode("F", 119.7), "tiff", (GREY, GREY, GREY)),
        (with_mode("LAB", (255, 128, 128)), "tiff", (255, 255, 255)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_mode_becomes_rgb(
    tmp_path: Path, image: Image.Image, suffix: str, expected: tuple[int, int, int]
) -> None:
    path = tmp_path / f"a.{suffix}"
    image.save(path, **({"lossless": True} if suffix == "webp" else {}))

    pixel = decoded(path)[8, 8]

    assert np.abs(pixel.astype(int) - expected).max() <= 1


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    with_mode("CMYK", (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)

    red, green, blue = decoded(tmp_path / "a.jpg")[8, 8]

    assert red > 240
    assert max(green, blue) < 15


def test_the_transparent_colour_of_an_rgb_png_becomes_white(tmp_path: Path) -> None:
    with_mode("RGB", (1, 2, 3)).save(tmp_path / "a.png", transparency=(1, 2, 3))

    assert decoded(tmp_path / "a.png")[8, 8].tolist() == [255, 255, 255]


def test_palettes_with_alpha_are_laid_on_white() -> None:
    assert to_rgb(Image.new("PA", (1, 1), (0, 0))).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(("kind", "options"), [("gif", {}), ("webp", {"lossless": True}), ("png", {})])
def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path, kind: str, options: dict[str, bool]) -> None:
    frames = [with_mode("RGB", (40 * n, 0, 0)) for n in range(1, 5)]
    frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:], **options)

    assert decoded(tmp_path / f"a.{kind}")[8, 8].tolist() == [40, 0, 0]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 9), (20_000, 4), (4, 20_000), (37, 91)])
def test_any_shape_becomes_a_square(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (width, height), GREY).save(path)

    image = decoded(path)

    assert image.shape == (16, 16, 3)
    assert (image == GREY).all()


def test_the_centre_is_kept_of_a_wide_image() -> None:
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, 10:20] = 200

    assert (fit_pixels(pixels, 10) == 200).all()


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    pixels = noise(1, (8, 8, 1))

    assert np.array_equal(fit_pixels(pixels, 8), pixels)


@given(width=st.integers(1, 70), height=st.integers(1, 70), wanted=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_the_centre_of_any_proportions_fits_any_others(width: int, height: int, wanted: tuple[int, int]) -> None:
    image = fit(Image.new("L", (width, height), GREY), *wanted)

    assert np.asarray(image).shape == wanted
    assert (np.asarray(image) == GREY).all()


def test_content_is_decoded_as_its_file_is_and_in_grey_where_that_is_wanted(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", noise(2, (20, 30, 3)))

    of_file, of_content = decode_as((16, 16, 3), path), decode_as((16, 16, 3), path.read_bytes())
    grey = decode_as((12, 24, 1), path.read_bytes())

    assert np.array_equal(of_file, of_content)
    assert np.array_equal(of_file, decode(path, size=16))
    expected = Image.open(path).convert("L").resize((24, 12), Image.Resampling.BICUBIC, box=(0, 2.5, 30, 17.5))
    assert np.array_equal(grey, np.asarray(expected)[..., None])


def test_content_that_is_no_image_or_has_too_many_pixels_is_answered_with_a_reason() -> None:
    content = encoded(noise(0, (64, 64, 3)))

    assert reason_of(b"") == "image is empty"
    assert reason_of(b"hello") == f"image {UNKNOWN}"
    assert reason_of(content, max_pixels=4_000) == (
        "image has more than 0.004 million pixels, the most that are decoded"
    )


def reason_of(content: bytes, **limits: int) -> str:
    found = decode_as((8, 8, 3), content, **limits)
    assert isinstance(found, BadImage)
    return str(found)


def test_shrinking_averages_instead_of_picking() -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)

    small = np.asarray(fit(Image.fromarray(board), 8, 8))

    assert np.abs(small.astype(int) - 127).max() < 12


def test_a_large_jpeg_looks_as_if_it_had_been_decoded_in_full(tmp_path: Path) -> None:
    y, x = np.mgrid[0:800, 0:800]
    smooth = np.stack([x / 4, y / 4, (x + y) / 8], axis=-1).astype(np.uint8)
    path = write_image(tmp_path / "a.jpg", smooth, quality=95)

    reference = np.asarray(fit(Image.open(path).convert("RGB"), 16, 16))

    assert np.abs(decoded(path).astype(int) - reference).max() <= 4


UNKNOWN = "is no JPEG, PNG, WebP, BMP, GIF or TIFF image"
HUGE = "has more than 64 million pixels"

BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "a web page": (b"<html>404</html>", UNKNOWN),
    "8,001 x 8,000 pixels": (png_with_header(8_001, 8_000), HUGE),
    "10,000 x 10,000 pixels": (png_with_header(10_000, 10_000), HUGE),
    "60,000 x 60,000 pixels": (png_with_header(60_000, 60_000), HUGE),
    "no pixels": (png_with_header(0, 0), UNKNOWN),
    "a truncated JPEG": (encoded(noise(0), "JPEG")[:-60], "cannot be decoded: image file is truncated"),
    "a truncated PNG": (encoded(noise(0, (64, 64, 3)))[:5_000], "cannot be decoded"),
    "fewer pixels than the header says": (
        png_with_header(200, 200, data=b"\0" * 101 * 100),
        "cannot be decoded",
    ),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", UNKNOWN),
    "Photoshop": (b"8BPS\0\1" + b"\0" * 40, UNKNOWN),
    "FITS": (b"SIMPLE  =                    T" + b" " * 50, UNKNOWN),
}


@pytest.mark.parametrize(("content", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_answered_with_a_reason(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)

    assert reason(path).startswith(expected)


def test_a_wrong_checksum_in_the_header_is_seen(tmp_path: Path) -> None:
    content = bytearray(encoded(noise(0)))
    content[30] ^= 1  # in the checksum of the header
    (tmp_path / "a.png").write_bytes(content)

    assert reason(tmp_path / "a.png") == UNKNOWN


def test_a_text_chunk_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add(b"zTXt", b"key\0\0" + zlib.compress(b"x" * 5_000_000))
    with_mode("L", 1).save(tmp_path / "a.png", pnginfo=info)

    assert reason(tmp_path / "a.png").startswith("cannot be decoded")


@pytest.mark.parametrize(
    ("value", "mode", "expected"),
    [
        (70_000, "I", "32-bit values run from 70000"),
        (-1, "I", "from -1"),
        (float("nan"), "F", "nan"),
        (300.0, "F", "300"),
    ],
)
def test_numbers_of_an_unknown_scale_are_refused(tmp_path: Path, value: float, mode: str, expected: str) -> None:
    with_mode(mode, value).save(tmp_path / "a.tiff")

    assert expected in reason(tmp_path / "a.tiff")


@pytest.mark.parametrize(
    "content",
    [
        encoded(CORNERS, "PNG"),
        encoded(CORNERS, "JPEG", quality=100) + b"trailing bytes",
        encoded(CORNERS, "JPEG", quality=100, icc_profile=b"no profile"),
        encoded(CORNERS, "PNG", exif=b"Exif\0\0no exif at all"),
        encoded(CORNERS, "WEBP", exif=b"Exif\0\0II*\0"),
    ],
    ids=["png named jpg", "trailing bytes", "broken colour profile", "no orientation", "half an orientation"],
)
def test_harmless_oddities_are_taken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)

    assert np.abs(decoded(tmp_path / "a.jpg").astype(int) - CORNERS).mean() < 9


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")

    assert "not a regular file" in reason(tmp_path / "a.jpg")


def test_a_socket_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.jpg")

        assert reason(Path("a.jpg")).startswith("cannot be read")


def test_a_missing_file_is_answered_without_its_path_twice(tmp_path: Path) -> None:
    assert reason(tmp_path / "a.jpg") == "cannot be read: No such file or directory"


def test_damaged_bytes_never_raise(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a"
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF"):  # libtiff writes its complaints to the terminal
        content = encoded(noise(0), kind)
        for _ in range(60):
            damaged = bytearray(content[: rng.integers(1, len(content) + 1)])
            for place in rng.integers(0, len(damaged), 3):
                damaged[place] = rng.integers(0, 256)
            path.write_bytes(damaged)
            with quiet_pillow():
                image = decode(path, size=4)
            assert isinstance(image, BadImage) or image.shape == (4, 4, 3)


def test_facts_are_of_the_file_as_stored(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.jpg", noise(0, (300, 200)))

    facts = examine(path)

    assert not isinstance(facts, BadImage)
    assert (facts.width, facts.height, facts.mode, facts.format) == (200, 300, "L", "JPEG")


def test_a_path_is_shown_on_one_line() -> None:
    assert shown("a\nb\udcff/ä😀") == "a\\nb\\udcff/ä😀"
