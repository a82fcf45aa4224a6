import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile

from bfly.errors import SourceError
from bfly.sources.shared.images import decode, header, is_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 31), "u1")
GREY16 = RNG.integers(0, 2**16, (20, 31), "u2")
RGB = RNG.integers(0, 256, (20, 31, 3), "u1")
RGB16 = RNG.integers(0, 2**16, (20, 31, 3), "u2")


def luminance(pixels):
    red, green, blue = np.moveaxis(pixels.astype(np.int64), 2, 0)
    return (77 * red + 150 * green + 29 * blue + 128) >> 8


def ids(pixels):
    return pixels.astype(np.int64) @ [1, 256, 65536]


def png(pixels):
    return imagecodecs.png_encode(pixels)


def jpeg(pixels, **options):
    return imagecodecs.jpeg8_encode(pixels, level=95, **options)


def tiff(pixels, **options):
    file = io.BytesIO()
    if "photometric" not in options:
        options["photometric"] = "rgb" if pixels.shape[-1] in (3, 4) else "minisblack"
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def raw_png(width, depth, colour, rows, *extra, interlace=0):
    """Write a PNG of a kind that imagecodecs does not write."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, interlace)
    chunks = [chunk(b"IHDR", head), *(chunk(*each) for each in extra)]
    chunks.append(chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def check(data, expected, dtype, labels=False):
    """Compare what is decoded, and that the header alone says the same."""
    pixels = decode(data, "a.file", labels=labels)
    assert is_image(data[:8])
    assert pixels.dtype == np.dtype(dtype).newbyteorder("<")
    assert pixels.flags.c_contiguous
    assert header(data, "a.file", labels=labels) == (pixels.shape, pixels.dtype)
    np.testing.assert_array_equal(pixels, np.asarray(expected).reshape(pixels.shape))


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("pixels", [GREY, GREY16])
def test_png_grey(pixels, labels):
    check(png(pixels), pixels, pixels.dtype, labels)
    with_alpha = np.stack([pixels, pixels[::-1]], 2)
    check(png(with_alpha), pixels, pixels.dtype, labels)


@pytest.mark.parametrize("pixels", [RGB, RGB16])
def test_png_colour_is_luminance(pixels):
    check(png(pixels), luminance(pixels), pixels.dtype)
    with_alpha = np.concatenate([pixels, pixels[..., :1]], 2)
    check(png(with_alpha), luminance(pixels), pixels.dtype)


def test_png_colour_is_an_id_in_a_segmentation():
    check(png(RGB), ids(RGB), "u4", labels=True)
    check(png(np.concatenate([RGB, RGB[..., :1]], 2)), ids(RGB), "u4", labels=True)
    for look in (decode, header):
        with pytest.raises(SourceError, match=r"its colours are uint16; allowed are .* of 8 bits"):
            look(png(RGB16), "a.png", labels=True)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_luminance_leaves_greys_as_they_are(dtype):
    greys = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 256)
    check(png(np.stack([greys] * 3, 2)), greys, dtype)


def test_png_palette():
    colours = RNG.integers(0, 256, (4, 3), "u1")
    palette, opacity = (b"PLTE", colours.tobytes()), (b"tRNS", b"\x80\x00")
    for data in (
        raw_png(4, 8, 3, [b"\0\1\2\3", b"\3\3\3\0"], palette),
        raw_png(4, 2, 3, [b"\x1b", b"\xfc"], palette),
        raw_png(4, 8, 3, [b"\0\1\2\3", b"\3\3\3\0"], palette, opacity),
    ):
        pixels = colours[[[0, 1, 2, 3], [3, 3, 3, 0]]]
        check(data, luminance(pixels), "u1")
        check(data, ids(pixels), "u4", labels=True)


def test_png_of_few_bits_is_stretched():
    check(raw_png(8, 1, 0, [b"\xaa"]), [255, 0] * 4, "u1")
    check(raw_png(4, 2, 0, [b"\x1b"]), [0, 85, 170, 255], "u1")
    check(raw_png(2, 4, 0, [b"\x1f"]), [17, 255], "u1")


def test_jpeg():
    check(jpeg(GREY), imagecodecs.jpeg8_decode(jpeg(GREY)), "u1")
    data = jpeg(RGB, subsampling="444")
    check(data, luminance(imagecodecs.jpeg8_decode(data)), "u1")
    check(data, ids(imagecodecs.jpeg8_decode(data)), "u4", labels=True)


def test_jpeg_for_print():
    data = jpeg(np.concatenate([RGB, RGB[..., :1]], 2), colorspace="CMYK", outcolorspace="CMYK")
    for look in (decode, header):
        with pytest.raises(SourceError, match="its colours are CMYK; allowed are grey and RGB"):
            look(data, "a.jpg", labels=False)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 8}, {"tile": (16, 16)}])
def test_tiff_compressions(compression, layout):
    predictor = compression in ("zlib", "lzw", "zstd", "lzma")
    for pixels in (GREY, GREY16):
        data = tiff(pixels, compression=compression, predictor=predictor, **layout)
        check(data, pixels, pixels.dtype)


@pytest.mark.parametrize(
    "options", [{"byteorder": ">"}, {"bigtiff": True}, {"byteorder": ">", "bigtiff": True}]
)
def test_tiff_kinds(options):
    assert is_image(tiff(GREY16, **options)[:8])
    check(tiff(GREY16, **options), GREY16, "u2")


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u4", "u8", "f4"])
def test_tiff_dtypes(dtype, byteorder):
    stored = RNG.integers(-100 if dtype[0] == "i" else 0, 100, (5, 6)).astype(dtype)
    check(tiff(stored, byteorder=byteorder), stored, stored.dtype)


def test_tiff_dtype_that_is_not_served():
    with pytest.raises(SourceError, match=r"a.tif holds complex64 voxels"):
        decode(tiff(GREY.astype("c8")), "a.tif", labels=False)


def test_tiff_colour():
    for pixels in (RGB, RGB16):
        check(tiff(pixels), luminance(pixels), pixels.dtype)
        check(
            tiff(pixels.astype(pixels.dtype.newbyteorder(">")), byteorder=">"),
            luminance(pixels),
            pixels.dtype,
        )
    check(tiff(RGB), ids(RGB), "u4", labels=True)
    planes = np.moveaxis(RGB, 2, 0)
    check(tiff(planes, photometric="rgb", planarconfig="separate"), luminance(RGB), "u1")
    rgba = np.concatenate([RGB, RGB[..., :1]], 2)
    check(tiff(rgba, extrasamples=["unassalpha"]), luminance(RGB), "u1")
    grey_alpha = np.stack([GREY, GREY[::-1]], 2)
    data = tiff(
        grey_alpha, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]
    )
    check(data, GREY, "u1")


def test_tiff_palette():
    colours = RNG.integers(0, 256, (3, 256))
    data = tiff(GREY, photometric="palette", colormap=(colours * 257).astype("u2"))
    check(data, luminance(colours.T[GREY]), "u1")
    check(data, ids(colours.T[GREY]), "u4", labels=True)


def test_tiff_of_one_bit_is_stretched():
    check(tiff(GREY > 99, photometric="minisblack"), np.where(GREY > 99, 255, 0), "u1")


def test_tiff_other_colours():
    cmyk = tiff(np.concatenate([RGB, RGB[..., :1]], 2), photometric="separated")
    for look in (decode, header):
        with pytest.raises(SourceError, match="its colours are SEPARATED; allowed are grey"):
            look(cmyk, "a.tif", labels=False)


def test_tiff_pages():
    pages = RNG.integers(0, 256, (7, 20, 31), "u1")
    check(tiff(pages), pages, "u1")
    check(tiff(pages, volumetric=True, tile=(16, 16, 16)), pages, "u1")


def test_tiff_thumbnail_is_no_page():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(GREY, photometric="minisblack", metadata=None)
        writer.write(GREY[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
    check(file.getvalue(), GREY, "u1")


FILES = {
    "png": png(GREY),
    "jpeg": jpeg(GREY),
    "colour jpeg": jpeg(RGB),
    "tiff": tiff(GREY),
    "tiff in strips": tiff(GREY, compression="lzw", rowsperstrip=4),
    "tiff in lzma": tiff(GREY, compression="lzma"),
    "tiff in tiles": tiff(GREY, compression="zlib", tile=(16, 16)),
    "tiff with jpeg": tiff(GREY, compression="jpeg"),
    "tiff of pages": tiff(np.stack([GREY] * 3), compression="zlib"),
    "big tiff": tiff(GREY, bigtiff=True, byteorder=">"),
}


@pytest.mark.parametrize("name", FILES)
def test_truncated_anywhere(name):
    data = FILES[name]
    # the last 12 bytes of a PNG say that it ends; the voxels are all there without
    last = len(data) - 13 if name == "png" else len(data) - 1
    right = decode(data, "a.file", labels=False)
    refused = 0
    for length in [*range(0, last, 37), last]:
        try:
            got = decode(data[:length], "a.file", labels=False)
        except SourceError:
            refused += 1
        else:  # what is missing comes behind the pixels
            np.testing.assert_array_equal(got, right)
    assert refused >= 0.9 * last / 37


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff in tiles", "tiff of pages"])
def test_overwritten_in_the_middle(name):
    data = bytearray(FILES[name])
    data[len(data) // 2 : len(data) // 2 + 64] = RNG.bytes(64)
    with pytest.raises(SourceError, match=r"^a.file "):
        decode(bytes(data), "a.file", labels=False)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG", b"some words"])
def test_not_an_image(data):
    assert not is_image(data[:8])
    for look in (decode, header):
        with pytest.raises(SourceError, match=r"^a.file cannot be decoded: it is neither PNG nor"):
            look(data, "a.file", labels=False)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"MM\0+\0"])
def test_nothing_but_magic(data):
    for look in (decode, header):
        with pytest.raises(SourceError, match=r"^a.file cannot be decoded: "):
            look(data, "a.file", labels=False)
