"""Sources that read several chunks at once are read so, past the tile cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from prometheus_client import REGISTRY

from bfly.geometry import BoundingBox
from bfly.queries.data import DataQuery
from bfly.sources.zarr.source import Zarr
from bfly.testing.volumes import padded_slice, random_volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core

VOLUME = random_volume((16, 256, 256), "uint8")
TILE = (8, 128, 128)
"""Such chunks are tiles as they are."""


@pytest.fixture
def path(tmp_path: Path) -> str:
    place = str(tmp_path / "em.zarr")
    array = zarr.create_array(place, shape=VOLUME.shape, chunks=TILE, dtype="uint8")
    array[:] = VOLUME
    return place


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[BoundingBox]:
    """The boxes that the source is asked for: those of requests, if the kind is stated."""
    boxes: list[BoundingBox] = []
    read = Zarr.read

    def noted(self: Zarr, mip: int, box: BoundingBox):
        boxes.append(box)
        return read(self, mip, box)

    monkeypatch.setattr(Zarr, "read", noted)
    return boxes


def cutout(core: Core, path: str, box: BoundingBox, **more: object):
    (z, y, x), (depth, height, width) = box.start, box.shape
    place = {"z": z, "y": y, "x": x, "depth": depth, "height": height, "width": width}
    return core.find_tiles(DataQuery(path=path, **place, **more))


@pytest.mark.parametrize(
    "box",
    [
        BoundingBox((3, 100, 90), (12, 200, 230)),
        BoundingBox((0, 0, 0), (16, 256, 256)),
        BoundingBox((7, 200, 100), (40, 300, 290)),
        BoundingBox((8, 120, 120), (9, 130, 130)),
    ],
)
def test_several_tiles_are_one_read(
    box: BoundingBox, path: str, reads: list[BoundingBox], make_core: Callable[..., Core]
) -> None:
    assert (cutout(make_core(), path, box, kind="image") == padded_slice(VOLUME, box)).all()
    assert reads == [box]


def test_an_offset_is_counted(path: str, make_core: Callable[..., Core]) -> None:
    box = BoundingBox((2, 50, 60), (12, 250, 260))
    found = cutout(make_core(), path, box, voxel_offset=(1, 7, 30))
    assert (found == padded_slice(VOLUME, box.relative_to((1, 7, 30)))).all()


def test_one_tile_is_kept(
    path: str, reads: list[BoundingBox], make_core: Callable[..., Core]
) -> None:
    core, box = make_core(), BoundingBox.of_shape(TILE, (0, 0, 128))
    for _ in range(2):
        assert (cutout(core, path, box, kind="image") == VOLUME[box.slices]).all()
    assert len(reads) == 1


@pytest.mark.parametrize("suffix", ["npy", "tif", "h5"])
def test_voxels_that_lie_as_they_are_are_read_as_asked(
    suffix: str, tmp_path: Path, make_core: Callable[..., Core]
) -> None:
    volume = random_volume((20, 300, 700), "uint16")
    path, core = tmp_path / f"em.{suffix}", make_core()
    if suffix == "npy":
        np.save(path, volume)
    elif suffix == "tif":
        tifffile.imwrite(path, volume, photometric="minisblack")
    else:
        with h5py.File(path, "w") as file:
            file["main"] = volume
    box = BoundingBox((2, 30, 40), (25, 290, 701))
    assert (cutout(core, str(path), box) == padded_slice(volume, box)).all()
    # What is kept is what is known of the channel, and no tile.
    assert len(core._cache._cache) == 1
    thin = BoundingBox((0, 0, 350), (20, 300, 351))
    assert (cutout(core, str(path), thin) == volume[thin.slices]).all()
    assert len(core._cache._cache) > 1


def test_a_section_larger_than_the_cache_is_decoded_once_for_a_cutout(
    tmp_path: Path, make_core: Callable[..., Core]
) -> None:
    section = random_volume((1, 1500, 1600), "uint16")
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "0.png").write_bytes(imagecodecs.png_encode(section[0]))
    core, box = make_core(cache=1 << 20), BoundingBox((0, 10, 20), (1, 1490, 1590))
    before = REGISTRY.get_sample_value("bfly_tiles_read_total")
    assert (cutout(core, str(tmp_path / "stack"), box) == section[box.slices]).all()
    assert REGISTRY.get_sample_value("bfly_tiles_read_total") == before + 1
