"""Pages of a TIFF: sections of the volume, however they are packed, and others."""

import logging

import numpy as np
import pytest
import tifffile

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.shared.contiguous import Flat
from bfly.sources.tiff.source import Tiff, has_sections
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.volumes import random_volume

VOLUME = random_volume((12, 40, 52), "uint8")
RGB = np.random.default_rng(0).integers(0, 256, (6, 40, 52, 3), "u1")

WAYS = [
    {},
    {"compression": "lzw"},
    {"compression": "zlib", "predictor": True},
    {"compression": "packbits", "rowsperstrip": 7},
    {"tile": (16, 32)},
    {"compression": "zlib", "tile": (32, 16)},
]


def write(path, pages, **common):
    """Write pages, each (voxels, options), as a program that does not describe them."""
    with tifffile.TiffWriter(path) as file:
        for voxels, options in pages:
            how = {"photometric": "minisblack", "metadata": None, **common, **options}
            file.write(voxels, contiguous=False, **how)


def mark(path, pages, kind):
    """Write the kind of pages, which tifffile allows for some pages only."""
    with tifffile.TiffFile(path, mode="r+") as file:
        for number in pages:
            file.pages[number].tags[254].overwrite(kind)


def whole(source):
    return source.read(0, source.scales[0].box)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "v.tif")


@pytest.mark.parametrize("at", [0, 1, 4, 7, 11])
@pytest.mark.parametrize("way", WAYS)
def test_a_page_that_is_packed_in_another_way_is_a_section(path, at, way):
    usual = {"compression": "lzw"} if way != {"compression": "lzw"} else {}
    write(path, [(section, way if z == at else usual) for z, section in enumerate(VOLUME)])
    source = Tiff.open(path)
    np.testing.assert_array_equal(whole(source), VOLUME)
    box = BoundingBox((max(0, at - 1), 3, 17), (at + 1, 31, 50))
    np.testing.assert_array_equal(source.read(0, box), VOLUME[box.slices])
    assert has_sections(path)


def test_every_page_may_be_packed_in_another_way(path):
    volume = random_volume((12, 40, 52), "uint16")
    write(path, [(section, WAYS[z % len(WAYS)]) for z, section in enumerate(volume)])
    np.testing.assert_array_equal(whole(Tiff.open(path)), volume)


def test_pages_of_colours_may_be_packed_in_several_ways(path):
    planes = {"planarconfig": "separate", "compression": "zlib"}
    write(
        path,
        [
            (np.moveaxis(section, 2, 0), planes) if z % 2 else (section, {})
            for z, section in enumerate(RGB)
        ],
        photometric="rgb",
    )
    red, green, blue = np.moveaxis(RGB.astype(int), 3, 0)
    luminance = (77 * red + 150 * green + 29 * blue + 128) >> 8
    np.testing.assert_array_equal(whole(Tiff.open(path)), luminance)


@pytest.mark.parametrize(
    "description",
    [
        "ImageJ=1.54f\nimages=12\nslices=12\n",
        "ImageJ=1.54f\nimages=12\n",
        '{"shape": [12, 40, 52]}',
        '{"shape": [12, 40, 52], "axes": "ZYX"}',
    ],
)
@pytest.mark.parametrize("at", [0, 1, 5])
@pytest.mark.parametrize("usual", WAYS[:2])
def test_a_description_counts_pages_of_all_ways(path, description, at, usual):
    pages = [(section, WAYS[2] if z == at else usual) for z, section in enumerate(VOLUME)]
    pages[0] = (VOLUME[0], {**pages[0][1], "description": description})
    write(path, pages)
    np.testing.assert_array_equal(whole(Tiff.open(path)), VOLUME)


def test_described_channels_are_volumes_though_packed_in_several_ways(path):
    pages = [(section, WAYS[z % 3]) for z, section in enumerate(VOLUME)]
    described = {"description": "ImageJ=1.54f\nimages=12\nchannels=2\nslices=6\nhyperstack=true\n"}
    pages[0] = (VOLUME[0], described)
    write(path, pages)
    assert [str(part) for part in Tiff.parts(path, Files())] == ["", "c=1"]
    np.testing.assert_array_equal(whole(Tiff.open(path)), VOLUME[::2])
    np.testing.assert_array_equal(whole(Tiff.open(path, part=Part.parse("c=1"))), VOLUME[1::2])


def test_images_that_tifffile_wrote_one_by_one_are_sections(path):
    with tifffile.TiffWriter(path) as file:
        for section in VOLUME:
            file.write(section, photometric="minisblack")
    source = Tiff.open(path)
    np.testing.assert_array_equal(whole(source), VOLUME)
    assert isinstance(source._levels[0], Flat)
    assert has_sections(path)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("shape", [(20, 26), (40, 52)])
@pytest.mark.parametrize("kind", [1, 4])
def test_marked_copies_and_masks_are_no_sections(path, kind, shape, first, caplog):
    pages = [(section, {"compression": "zlib"}) for section in VOLUME]
    copies = [(np.full(shape, 7, "u1"), {"subfiletype": 1})] * len(pages)
    pairs = zip(*((copies, pages) if first else (pages, copies)), strict=True)
    write(path, [page for pair in pairs for page in pair])
    mark(path, range(not first, 24, 2), kind)
    np.testing.assert_array_equal(whole(Tiff.open(path)), VOLUME)
    assert caplog.messages == []


@pytest.mark.parametrize("kind", [1, 4])
def test_a_file_of_marked_pages_alone_is_a_volume(path, kind):
    write(path, [(section, {"subfiletype": 1}) for section in VOLUME])
    mark(path, range(12), kind)
    np.testing.assert_array_equal(whole(Tiff.open(path)), VOLUME)


@pytest.mark.parametrize(
    ("other", "options", "said"),
    [
        (VOLUME[4].astype("u2"), {}, "40 x 52 pixels of uint16, MINISBLACK"),
        (RGB[0], {"photometric": "rgb"}, "40 x 52 pixels of 3 samples of uint8, RGB"),
        (VOLUME[4, :39], {}, "39 x 52 pixels of uint8, MINISBLACK"),
        (VOLUME[4], {"photometric": "miniswhite"}, "40 x 52 pixels of uint8, MINISWHITE"),
    ],
)
def test_a_page_of_another_kind_between_sections_is_refused(path, other, options, said):
    pages = [(section, {"compression": "zlib"}) for section in VOLUME]
    pages[4] = (other, options)
    write(path, pages)
    message = f"page 4 is {said}; the sections around it are 40 x 52 pixels of uint8, MINISBLACK"
    with pytest.raises(SourceError, match=message):
        Tiff.open(path)
    assert has_sections(path)


def test_small_images_between_sections_and_others_behind_them_are_left_out(path, caplog):
    caplog.set_level(logging.WARNING, "bfly")
    pages = [(section, {}) for section in VOLUME]
    write(
        path,
        [*pages[:5], (VOLUME[0, :9, :11], {}), *pages[5:], (VOLUME[0].astype("u2"), {})],
    )
    np.testing.assert_array_equal(whole(Tiff.open(path)), VOLUME)
    behind, small = caplog.messages
    assert "the level image 1, (1, 9, 11) voxels (zyx), is skipped" in small
    assert behind == (
        f"{path}: page 13 is no section of the volume and is left out: "
        "40 x 52 pixels of uint16, MINISBLACK."
    )


def clear(path, pages, plane=0):
    """Make a page's strips or tiles of one plane such as were never written."""
    with tifffile.TiffFile(path, mode="r+") as file:
        for number in pages:
            for codes in ((273, 279), (324, 325)):
                for code in codes:
                    tag = file.pages[number].tags.get(code)
                    if tag is not None:
                        values = [*tag.value]
                        each = len(values) // file.pages[number].shaped[0]
                        values[plane * each : (plane + 1) * each] = [0] * each
                        tag.overwrite(values)


@pytest.mark.parametrize("at", [0, 5])
@pytest.mark.parametrize("way", WAYS)
def test_a_page_that_was_never_written_is_zero(path, way, at):
    write(path, [(section, way) for section in VOLUME])
    clear(path, [at])
    expected = VOLUME.copy()
    expected[at] = 0
    np.testing.assert_array_equal(whole(Tiff.open(path)), expected)


@pytest.mark.parametrize("plane", [0, 1, 2])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_a_plane_that_was_never_written_is_zero_and_the_others_are_not(path, plane, tile):
    planes = np.moveaxis(RGB, 3, 1)
    how = {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib", "tile": tile}
    write(path, [(section, how) for section in planes])
    clear(path, [2], plane)
    expected = planes.astype(int)
    expected[2, plane] = 0
    ids = expected[:, 0] + 256 * expected[:, 1] + 65_536 * expected[:, 2]
    np.testing.assert_array_equal(whole(Tiff.open(path, kind="segmentation")), ids)
