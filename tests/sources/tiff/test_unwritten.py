"""Strips and tiles of a TIFF that were never written, or only in part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from bfly.errors import SourceError
from bfly.sources.stack import ImageStack
from bfly.sources.tiff.source import Tiff
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VOLUME = random_volume((3, 64, 64), "uint16")

LAYOUTS: dict[str, dict[str, Any]] = {
    "pages": {},
    "strips": {"rowsperstrip": 16},
    "tiles": {"tile": (32, 32)},
    "packed pages": {"compression": "zlib"},
    "packed tiles": {"compression": "lzw", "tile": (32, 32)},
}

POSITIONS, SIZES = ("StripOffsets", "TileOffsets"), ("StripByteCounts", "TileByteCounts")

BYTES = {3: 2, 4: 4, 16: 8}
"""Bytes of the integer types of TIFF 6.0 and BigTIFF."""


def write(path: Path, layout: str, **options: Any) -> Path:
    """Write pages that share nothing: tifffile stores equal lists of sizes once."""
    with tifffile.TiffWriter(path) as file:
        for section in VOLUME:
            file.write(section, photometric="minisblack", metadata=None, **LAYOUTS[layout])
    return path


def blank(path: Path, page: int | None, *tags: str) -> None:
    """Set tags of the first strip or tile of a page, or of all pages and strips, to 0."""
    with tifffile.TiffFile(path) as file:
        pages = [*file.pages]
        places = [
            (tag.valueoffset + k * BYTES[tag.dtype], BYTES[tag.dtype])
            for each in (pages if page is None else [pages[page]])
            for tag in each.tags.values()
            if tag.name in tags
            for k in range(tag.count if page is None else 1)
        ]
    with path.open("r+b") as raw:
        for at, size in places:
            raw.seek(at)
            raw.write(bytes(size))


def whole(path: Path) -> NDArray[Any]:
    source = Tiff.open(str(path))
    return source.read(0, source.scales[0].box)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_strip_or_tile_that_was_never_written_is_0(tmp_path: Path, layout: str) -> None:
    """It is at byte 0 and has no bytes; the file's own header is never read as voxels."""
    path = write(tmp_path / "a.tif", layout)
    blank(path, 2, *POSITIONS, *SIZES)
    found = whole(path)
    expected = VOLUME.copy()
    height, width = LAYOUTS[layout].get("tile", (LAYOUTS[layout].get("rowsperstrip", 64), 64))
    expected[2, :height, :width] = 0
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_position_without_a_size_or_a_size_without_a_position(
    tmp_path: Path, layout: str
) -> None:
    """What was written in part is an error; bytes of the header are no voxels."""
    path = write(tmp_path / "a.tif", layout)
    blank(path, 2, *POSITIONS)
    with pytest.raises(SourceError, match=r"a\.tif .*strip or tile 0 at byte 0 has \d+ bytes"):
        whole(path)


@pytest.mark.parametrize("layout", ["strips", "tiles", "packed pages", "packed tiles"])
def test_a_strip_or_tile_without_bytes_is_an_error(tmp_path: Path, layout: str) -> None:
    path = write(tmp_path / "a.tif", layout)
    blank(path, 2, *SIZES)
    with pytest.raises(SourceError, match=r"a\.tif .*strip or tile 0 at byte \d+ has 0 bytes"):
        whole(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_without_any_strips_is_said(
    tmp_path: Path, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.tif", layout)
    blank(path, None, *POSITIONS, *SIZES)
    assert not whole(path).any()
    assert f"{path} has no strips or tiles" in caplog.text


def test_a_coarser_level_that_was_never_written_is_computed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        options: dict[str, Any] = {"photometric": "minisblack", "tile": (16, 16)}
        file.write(VOLUME[0], subifds=1, metadata=None, **options)
        file.write(VOLUME[0, ::2, ::2], subfiletype=1, metadata=None, **options)
    assert Tiff.open(str(path)).scales.keys() == {0, 1}
    with tifffile.TiffFile(path) as file:
        tags = [file.pages.first.pages[0].tags[name] for name in ("TileOffsets", "TileByteCounts")]
        places = [(tag.valueoffset, tag.count * BYTES[tag.dtype]) for tag in tags]
    with path.open("r+b") as raw:
        for at, size in places:
            raw.seek(at)
            raw.write(bytes(size))
    assert Tiff.open(str(path)).scales.keys() == {0}
    assert np.array_equal(whole(path)[0], VOLUME[0])


def write_stack(folder: Path, layout: str) -> Path:
    """Write sections as files of their own, and return the one in the middle."""
    for z, section in enumerate(VOLUME):
        options = {"photometric": "minisblack", "metadata": None, **LAYOUTS[layout]}
        tifffile.imwrite(folder / f"{z}.tif", section, **options)
    return folder / "1.tif"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_section_of_a_stack_that_was_never_written_is_0(tmp_path: Path, layout: str) -> None:
    blank(write_stack(tmp_path, layout), None, *POSITIONS, *SIZES)
    source = ImageStack.open(str(tmp_path))
    found = source.read(0, source.scales[0].box)
    assert np.array_equal(found[::2], VOLUME[::2])
    assert not found[1].any()


@pytest.mark.parametrize("tags", [POSITIONS, SIZES])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_section_of_a_stack_that_was_written_in_part_is_an_error(
    tmp_path: Path, layout: str, tags: tuple[str, ...]
) -> None:
    """Unless all that is missing is the size of voxels without compression."""
    blank(write_stack(tmp_path, layout), 0, *tags)
    source = ImageStack.open(str(tmp_path))
    if (layout, tags) == ("pages", SIZES):
        assert np.array_equal(source.read(0, source.scales[0].box), VOLUME)
        return
    with pytest.raises(SourceError, match=r"1\.tif .*strip or tile 0 at byte \d+ has \d+ bytes"):
        source.read(0, source.scales[0].box)
