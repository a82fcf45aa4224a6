"""BMP, JPEG 2000, JPEG XL, WebP and AVIF as image files, and as the sections of a stack."""

import imagecodecs
import numpy as np
import pytest

from bfly.errors import Oversized, SourceError
from bfly.sources.shared.images import decode, has_colours, header, is_image
from bfly.sources.stack import ImageStack
from bfly.testing.sources import SourceSuite

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 33), "u1")
RGB = RNG.integers(0, 256, (40, 33, 3), "u1")
ALPHA = np.dstack([RGB, GREY])

ENCODERS = {
    "avif": lambda pixels: imagecodecs.avif_encode(pixels, level=100, speed=10),
    "bmp": imagecodecs.bmp_encode,
    "jp2": lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0),
    "j2k": lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k"),
    "jxl": lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True),
    "webp": lambda pixels: imagecodecs.webp_encode(pixels, lossless=True),
}
COLOURED = [*ENCODERS]
WIDE = ["jp2", "j2k", "jxl"]


def luminance(pixels):
    red, green, blue = np.moveaxis(pixels.astype("u4"), -1, 0)
    return (77 * red + 150 * green + 29 * blue + 128) >> 8


def check(data, expected, dtype, labels=False):
    pixels = decode(data, "a.file", labels=labels)
    assert is_image(data[:8])
    assert pixels.dtype == np.dtype(dtype).newbyteorder("<")
    assert header(data, "a.file", labels=labels) == (pixels.shape, pixels.dtype)
    np.testing.assert_array_equal(pixels[0], expected)


@pytest.mark.parametrize("name", sorted({*ENCODERS} - {"webp"}))
def test_grey_is_as_it_was_written(name):
    data = ENCODERS[name](GREY)
    check(data, GREY, "u1")
    check(data, GREY, "u1", labels=True)
    assert not has_colours(data, "a.file")


@pytest.mark.parametrize("name", WIDE)
def test_wide_grey_is_as_it_was_written(name):
    check(ENCODERS[name](GREY.astype("u2") * 257), GREY.astype("u2") * 257, "u2")


def test_other_voxels_are_as_they_were_written():
    check(ENCODERS["jp2"](GREY.astype("i2") - 100), GREY.astype("i2") - 100, "i2")
    twelve = GREY.astype("u2") * 16
    data = imagecodecs.jpeg2k_encode(twelve, level=0, bitspersample=12)
    check(data, twelve, "u2")
    check(ENCODERS["jxl"](GREY.astype("f4") / 256), GREY.astype("f4") / 256, "f4")


@pytest.mark.parametrize("name", COLOURED)
def test_colours_are_luminance_or_an_id(name):
    for pixels in (RGB, ALPHA):
        data = ENCODERS[name](pixels)
        if name == "webp" and pixels is ALPHA:
            # What is transparent is not kept.
            pixels = imagecodecs.webp_decode(data)
        assert has_colours(data, "a.file")
        stored = pixels[..., :3]
        check(data, luminance(stored), "u1")
        red, green, blue = np.moveaxis(stored.astype("u4"), -1, 0)
        check(data, red + 256 * green + 65536 * blue, "u4", labels=True)


def test_grey_in_webp_is_the_grey():
    check(ENCODERS["webp"](np.dstack([GREY] * 3)), GREY, "u1")


def test_a_palette_of_bmp_is_its_colours():
    data = bytearray(imagecodecs.bmp_encode(GREY))
    for index in range(256):
        data[54 + 4 * index : 57 + 4 * index] = bytes([255 - index] * 3)
    check(bytes(data), 255 - GREY, "u1")


@pytest.mark.parametrize("name", ENCODERS)
def test_a_damaged_image_is_refused_by_name(name):
    data = ENCODERS[name](RGB)
    for length in [8, 12, 20, *range(24, len(data), 97), len(data) - 1]:
        for look in (decode, header):
            with pytest.raises(SourceError, match=r"^a.file cannot be decoded: "):
                look(data[:length], "a.file", labels=False)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_size_beyond_the_limit_is_refused(name):
    data = ENCODERS[name](RGB)
    with pytest.raises(Oversized, match=r"a.file: an image of 40 x 33 voxels unpacks to"):
        decode(data, "a.file", labels=False, limit=3000)


def test_frames_are_refused():
    data = imagecodecs.jpegxl_encode(np.stack([GREY] * 3), lossless=True)
    with pytest.raises(SourceError, match="it is 3 x 40 x 33, its header states 40 x 33; allowed"):
        decode(data, "a.file", labels=False)


def test_samples_that_are_no_colours_are_refused():
    data = ENCODERS["jp2"](np.dstack([GREY, GREY]))
    with pytest.raises(SourceError, match="its pixels have 2 samples; allowed are grey and RGB"):
        decode(data, "a.file", labels=False)


def test_colour_differences_of_jpeg_2000_are_refused():
    data = ENCODERS["jp2"](RGB)
    at = data.index(b"colr") + 4
    data = data[:at] + b"\x01\0\0\0\0\0\x12" + data[at + 7 :]
    with pytest.raises(SourceError, match="its colours are sYCC; allowed are grey and RGB"):
        decode(data, "a.file", labels=False)


class TestJpeg2000Stack(SourceSuite):
    source = ImageStack
    dtypes = ("uint8", "uint16", "int8", "int16")

    def write(self, folder, volume):
        for z, section in enumerate(volume):
            (folder / f"{z}.jp2").write_bytes(ENCODERS["jp2"](section))
        return folder


class TestJpegXLStack(SourceSuite):
    source = ImageStack
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        for z, section in enumerate(volume):
            (folder / f"{z}.jxl").write_bytes(ENCODERS["jxl"](section))
        return folder


class TestBmpStack(SourceSuite):
    source = ImageStack

    def write(self, folder, volume):
        for z, section in enumerate(volume):
            (folder / f"{z}.BMP").write_bytes(ENCODERS["bmp"](section))
        return folder


class TestWebPStack(SourceSuite):
    source = ImageStack

    def write(self, folder, volume):
        for z, section in enumerate(volume):
            (folder / f"{z}.webp").write_bytes(ENCODERS["webp"](np.dstack([section] * 3)))
        return folder
