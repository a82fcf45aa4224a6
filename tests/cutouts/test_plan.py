"""Every voxel of a request comes from one tile and goes to one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from hypothesis import given, settings

from bfly.cutouts.plan import TOGETHER, parts_of, shares, tiles_of
from bfly.geometry import BoundingBox
from bfly.queries.data import DataQuery
from bfly.testing.volumes import boxes, padded_slice, random_volume
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path

VOLUME = random_volume((20, 300, 200), "uint8")
CHUNK = (8, 128, 128)
OFFSET = (3, -5, 70)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    place: Path = tmp_path_factory.mktemp("planning") / "em.zarr"
    zarr.create_array(str(place), shape=VOLUME.shape, chunks=CHUNK, dtype="uint8")[:] = VOLUME
    return str(place)


def query_of(path: str, box: BoundingBox) -> DataQuery:
    (z, y, x), (depth, height, width) = box.start, box.shape
    place = {"z": z, "y": y, "x": x, "depth": depth, "height": height, "width": width}
    return DataQuery(path=path, voxel_offset=OFFSET, **place)


def test_parts_are_the_whole_request_and_nothing_else(path: str) -> None:
    volume = Volume.open(ChannelSpec(path, OFFSET))
    level = volume.level(0)

    @settings(max_examples=100, deadline=None)
    @given(boxes(VOLUME.shape))
    def check(box: BoundingBox) -> None:
        if not box.size:
            return
        query = query_of(path, box.shift(OFFSET))
        query.update_source(volume.keywords)
        region = query.region
        tiles = tiles_of(region)
        found, times = np.zeros(box.shape, "u1"), np.zeros(box.shape, int)
        parts = parts_of(region, tiles)
        for position, wanted, place in parts:
            tile = VOLUME[level.tile_box(position).slices]
            found[place] = tile[wanted]
            times[place] += 1
        assert len(parts) == tiles.size
        assert (found == padded_slice(VOLUME, box)).all()
        assert times.sum() == (box & BoundingBox.of_shape(VOLUME.shape)).size
        assert times.max() <= 1

    check()


def test_a_share_is_many_cached_tiles_or_those_that_are_read_at_once(path: str) -> None:
    query = query_of(path, BoundingBox.of_shape(VOLUME.shape, OFFSET))
    query.update_source(Volume.open(query.spec).keywords)
    level = query.volume.level(0)
    parts = parts_of(query.region, tiles_of(query.region))
    first, *others = parts
    cached = np.zeros(CHUNK)
    alone = shares(level, [(first, cached), *((part, []) for part in others)])
    assert [[part for part, _ in share] for share in alone] == [[first], *([p] for p in others)]
    many = [(first, cached)] * (TOGETHER + 1)
    assert [len(share) for share in shares(level, many)] == [TOGETHER, 1]
