"""WKW: layers and mags in files of blocks."""

from __future__ import annotations

import json
import os
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bfly.errors import Oversized, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.wkw.source import Wkw
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.sources import SourceSuite
from bfly.testing.sources.base import random_box
from bfly.testing.volumes import padded_slice, random_volume
from tests.fixtures.wkw_dataset import DOCUMENT, PACKINGS, TYPES, write, write_mag

if TYPE_CHECKING:
    from pathlib import Path

    Voxels = np.ndarray[Any, np.dtype[Any]]

SERVED = tuple(np.dtype(code).name for code in TYPES if code != "f8")


class TestPacked(SourceSuite):
    source = Wkw
    dtypes = SERVED

    def write(self, folder: Path, volume: Voxels) -> Path:
        return write(folder / "data", volume, packing="lz4") / "color"


class TestRaw(SourceSuite):
    source = Wkw
    dtypes = SERVED

    def write(self, folder: Path, volume: Voxels) -> Path:
        return write(folder / "data", volume, packing="raw") / "color" / "1"


def whole(source: Wkw) -> Voxels:
    return source.read(0, source.scales[0].box)


def test_the_library_of_the_format_writes_what_is_read(tmp_path: Path) -> None:
    wkw = pytest.importorskip("wkw")
    for block_type in (1, 2, 3):
        for dtype in (np.uint8, np.uint32, np.int16, np.float32):
            voxels = random_volume((64, 128, 64), np.dtype(dtype).name)
            folder = tmp_path / f"{block_type}{np.dtype(dtype)}"
            header = wkw.Header(dtype, block_len=32, file_len=2, block_type=block_type)
            with wkw.Dataset.create(str(folder), header) as dataset:
                dataset.write((64, 0, 128), np.asfortranarray(voxels.T))
            source = Wkw.open(str(folder))
            assert source.scales[0].origin == (128, 0, 64)
            np.testing.assert_array_equal(whole(source), voxels)


@pytest.mark.parametrize("place", [(3, 43, 29), (8, 32, 40), (0, 7, 0)])
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_layer_may_begin_inside_a_block(
    tmp_path: Path, place: tuple[int, int, int], packing: str
) -> None:
    voxels = random_volume((9, 40, 33), "uint32")
    source = Wkw.open(str(write(tmp_path / "d", voxels, packing=packing, place=place) / "color"))
    assert (source.scales[0].shape, source.scales[0].origin) == (voxels.shape, place)
    rng = np.random.default_rng(1)
    for _ in range(50):
        box = random_box(rng, source.scales[0].shape)
        np.testing.assert_array_equal(source.read(0, box), padded_slice(voxels, box))


@pytest.mark.parametrize("packing", PACKINGS)
def test_values_of_a_voxel_are_channels(tmp_path: Path, packing: str) -> None:
    colours = random_volume((5, 9, 20, 3), "uint16")
    path = str(write(tmp_path / "d", colours, packing=packing) / "color")
    parts = Wkw.parts(path, Files())
    assert [str(part) for part in parts] == ["", "c=1", "c=2"]
    for channel, part in enumerate(parts):
        source = Wkw.open(path, part=part)
        np.testing.assert_array_equal(whole(source), colours[..., channel])
    with pytest.raises(SourceError, match="c is 3; allowed are 0 to 2"):
        Wkw.open(path, part=Part.parse("c=3"))
    with pytest.raises(SourceError, match="has no axis t for t=1; it has c"):
        Wkw.open(path, part=Part.parse("t=1"))
    with pytest.raises(SourceError, match="has no part color: it is one layer"):
        Wkw.open(path, part=Part.parse("color"))


def test_files_say_where_a_layer_is_if_nothing_else_does(tmp_path: Path) -> None:
    voxels = random_volume((4, 40, 70), "uint8")
    write_mag(tmp_path / "color" / "mag1", voxels, start=(33, 0, 64))
    source = Wkw.open(str(tmp_path / "color"))
    scale = source.scales[0]
    assert (scale.origin, scale.shape) == ((32, 0, 64), (32, 64, 96))
    assert (source.kind, source.kind_source) == ("image", "file: layer color")
    assert source.voxel_size is None
    np.testing.assert_array_equal(source.read(0, BoundingBox((1, 0, 0), (5, 40, 70))), voxels)
    assert whole(source).sum() == voxels.sum()


@pytest.mark.parametrize("named", ["1 2 4", "mag1 mag2 mag4", "1 2-2-1 4-4-2"])
def test_mags_are_mips(tmp_path: Path, named: str) -> None:
    mags = {}
    for name, side in zip(named.split(), (64, 32, 16), strict=True):
        depth = {"2-2-1": 16, "4-4-2": 8}.get(name, side // 4)
        mags[name] = random_volume((depth, side, side), "uint16", seed=side)
    path = write(tmp_path / "data", mags, voxel_size=None) / "color"
    source = Wkw.open(str(path))
    assert source.scales.keys() == {0, 1, 2}
    for mip, voxels in enumerate(mags.values()):
        box = BoundingBox.of_shape(voxels.shape)
        np.testing.assert_array_equal(source.read(mip, box), voxels)


def test_a_mag_alone_has_what_its_dataset_states(tmp_path: Path) -> None:
    mags = {"1": random_volume((8, 40, 40), "uint8"), "2": random_volume((4, 20, 20), "uint8")}
    folder = write(tmp_path / "d", mags, place=(2, 10, 6), category="segmentation", layer="x")
    source = Wkw.open(str(folder / "x" / "2"))
    assert source.scales[0].origin == (1, 5, 3)
    assert source.voxel_size == (60.0, 8.0, 8.0)
    assert (source.kind, source.kind_source) == ("segmentation", "file: webKnossos category")
    np.testing.assert_array_equal(whole(source), mags["2"])


def test_the_path_of_a_mag_decides_what_it_is(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", random_volume((4, 9, 9), "uint8"))
    (folder / "color" / "1").rename(folder / "color" / "full")
    document = json.loads((folder / DOCUMENT).read_text())
    document["dataLayers"][0]["mags"] = [{"mag": "2-2-1", "path": "color/full"}]
    document["dataLayers"][0]["boundingBox"] |= {"width": 18, "height": 18}
    (folder / DOCUMENT).write_text(json.dumps(document))
    source = Wkw.open(str(folder / "color" / "full"))
    assert source.voxel_size == (30.0, 8.0, 8.0)
    assert source.scales[0].shape == (4, 9, 9)


def test_a_missing_file_is_blank(tmp_path: Path) -> None:
    voxels = random_volume((4, 40, 40), "uint8")
    path = write(tmp_path / "d", voxels) / "color"
    (path / "1" / "z0" / "y0" / "x1.wkw").unlink()
    source = Wkw.open(str(path))
    got = whole(source)
    assert not got[:, :32, 32:].any()
    np.testing.assert_array_equal(got[:, :, :32], voxels[:, :, :32])
    write_mag(path / "1", voxels)
    assert source.changed() is not None


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_not_blank(tmp_path: Path) -> None:
    path = write(tmp_path / "d", random_volume((4, 40, 40), "uint8")) / "color"
    source = Wkw.open(str(path))
    (path / "1" / "z0" / "y0").chmod(0)
    try:
        with pytest.raises(SourceError, match="Permission denied"):
            whole(source)
    finally:
        (path / "1" / "z0" / "y0").chmod(0o755)


def damage(file: Path, at: int, data: bytes) -> None:
    content = bytearray(file.read_bytes())
    content[at : at + len(data)] = data
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("at", "data", "reason"),
    [
        (0, b"wkw", "is no WKW file: it begins with b'wkw'"),
        (3, b"\2", "its version is 2; allowed are 1"),
        (5, b"\4", "its blockType is 4; allowed are 1, 2, 3"),
        (6, b"\x0b", "its voxelType is 11; allowed are 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
        (7, b"\0", "its voxelSize is 0 bytes; allowed are multiples of 4"),
        (7, b"\5", "its voxelSize is 5 bytes; allowed are multiples of 4, the size of a uint32"),
    ],
)
def test_headers_that_the_format_lacks_are_refused(
    tmp_path: Path, at: int, data: bytes, reason: str
) -> None:
    path = write(tmp_path / "d", random_volume((4, 9, 9), "uint32")) / "color" / "1"
    damage(path / "header.wkw", at, data)
    with pytest.raises(SourceError, match=f"header.wkw.*{reason}"):
        Wkw.open(str(path))


def test_a_block_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d", random_volume((4, 9, 9), "uint32")) / "color" / "1"
    damage(path / "header.wkw", 4, b"\xff")
    with pytest.raises(Oversized, match=r"header.wkw: a block of 32768 x 32768 x 32768 voxels"):
        Wkw.open(str(path))


@pytest.mark.parametrize(
    ("at", "data", "reason"),
    [
        (4, b"\x24", "its side is 16; header.wkw says 8"),
        (7, b"\x08", "its channels is 2; header.wkw says 1"),
        (8, struct.pack("<Q", 3), "its dataOffset is 3; it is 528 or more"),
        (16, struct.pack("<Q", 1 << 60), "its table puts the blocks from 0 on at bytes"),
        (16, struct.pack("<Q", 0), "its table puts the blocks from 0 on at bytes"),
        (520, struct.pack("<Q", 1 << 62), "is truncated: its blocks end at byte"),
        (528, b"\xff" * 20, "the block 0 is damaged"),
    ],
)
def test_damage_is_an_error(tmp_path: Path, at: int, data: bytes, reason: str) -> None:
    path = write(tmp_path / "d", random_volume((4, 9, 9), "uint32")) / "color" / "1"
    damage(path / "z0" / "y0" / "x0.wkw", at, data)
    with pytest.raises(SourceError, match=f"x0.wkw.*{reason}"):
        whole(Wkw.open(str(path)))


def test_blocks_of_one_file_may_be_packed_otherwise(tmp_path: Path) -> None:
    voxels = random_volume((4, 9, 40), "uint32")
    path = write(tmp_path / "d", voxels, packing="lz4") / "color" / "1"
    write_mag(tmp_path / "raw", voxels, packing="raw")
    name = "z0/y0/x1.wkw"
    (path / name).write_bytes((tmp_path / "raw" / name).read_bytes())
    np.testing.assert_array_equal(whole(Wkw.open(str(path))), voxels)


def test_mags_of_two_dtypes_are_refused(tmp_path: Path) -> None:
    mags = {"1": random_volume((4, 8, 8), "uint8"), "2": random_volume((2, 4, 4), "uint16")}
    path = write(tmp_path / "d", mags) / "color"
    with pytest.raises(SourceError, match="the mag 2 has uint16 voxels, the finest one uint8"):
        Wkw.open(str(path))


def test_an_empty_layer_without_a_description_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d", random_volume((4, 8, 8), "uint8"), voxel_size=None) / "color"
    (path / "1" / "z0" / "y0" / "x0.wkw").unlink()
    with pytest.raises(SourceError, match=r"has no files of blocks, z0/y0/x0.wkw, and no"):
        Wkw.open(str(path))
