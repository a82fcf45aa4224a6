"""Mips of any ladder: which are halved along z, and the places of their voxels."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfly.core.channels import OpenChannel
from bfly.geometry import BoundingBox, Scale, ceil_div, zyx
from bfly.queries.data import BoxQuery, DataQuery
from bfly.sources.mips import StoredLevel, factor_at, ladder
from bfly.sources.source import Datasource
from bfly.testing.volumes import padded_slice
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.core.core import Core
    from bfly.geometry import Zyx
    from bfly.sources.mips import VoxelSize

ALONE = {0: Scale((100, 1000, 1000), (64, 64, 64))}


@pytest.mark.parametrize(
    ("voxel_size", "halvings"),
    [
        (None, [0, 0, 0, 0, 0, 0]),
        ((8, 8, 8), [0, 1, 2, 3, 4, 5]),
        ((40, 4, 4), [0, 0, 0, 0, 1, 2]),
        ((30, 8, 8), [0, 0, 0, 1, 2, 3]),
        ((12, 8, 8), [0, 0, 1, 2, 3, 4]),
        ((11, 8, 8), [0, 1, 2, 3, 4, 5]),
        ((4, 8, 8), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_sections_are_halved_from_near_isotropic_on(
    voxel_size: VoxelSize | None, halvings: list[int]
) -> None:
    for mip, times in enumerate(halvings):
        assert factor_at(mip, ALONE, voxel_size) == (2**times, 2**mip, 2**mip)


def test_between_stored_mips_sections_do_not_get_ahead() -> None:
    scales = {mip: Scale((9, 9, 9), (1, 1, 1), (z, 2**mip, 2**mip)) for mip, z in STORED.items()}
    found = [factor_at(mip, scales, (8, 8, 8))[0] for mip in range(9)]
    assert found == [1, 1, 1, 1, 2, 4, 4, 8, 16]
    assert [factor_at(mip, scales, None)[0] for mip in range(9)] == [1, 1, 1, 1, 1, 1, 4, 4, 4]


STORED = {0: 1, 3: 1, 6: 4}


def test_levels_of_a_file(caplog: pytest.LogCaptureFixture) -> None:
    chunk = (1, 1, 1)
    levels = {
        "s0": StoredLevel((99, 1001, 777), chunk),
        "s1": StoredLevel((99, 501, 389), chunk, (1, 2, 2)),
        "floor": StoredLevel((49, 250, 194), chunk),
        "again": StoredLevel((25, 251, 195), chunk, (4, 4, 4)),
        "third": StoredLevel((33, 334, 259), chunk, (3, 3, 3)),
        "rough": StoredLevel((13, 63, 49), chunk, (99 / 13, 1001 / 63, 777 / 49), (1, 2, 3)),
        "x only": StoredLevel((99, 1001, 389), chunk, (1, 1, 2)),
        "small": StoredLevel((99, 10, 10), chunk, (1, 32, 32)),
    }
    with caplog.at_level(logging.WARNING):
        found = ladder("/a/file", levels)
    assert found == {
        0: ("s0", Scale((99, 1001, 777), chunk)),
        1: ("s1", Scale((99, 501, 389), chunk, (1, 2, 2))),
        2: ("floor", Scale((49, 250, 194), chunk, (2, 4, 4))),
        4: ("rough", Scale((13, 63, 49), chunk, (8, 16, 16), (1, 2, 3))),
    }
    for name in levels.keys() - {"s0", "s1", "floor", "rough"}:
        assert any(f"/a/file: the level {name}" in line for line in caplog.messages), name


class Stored(Datasource):
    """A source with the mips that it is given."""

    name = "stored"
    given: dict[int, np.ndarray]

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        return False

    def _open(self) -> None:
        self.dtype = np.dtype("u1")

    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray:
        return self.given[mip][box.slices].copy()


def coarser(voxels: np.ndarray, place: Zyx, by: Zyx, kind: str) -> tuple[np.ndarray, Zyx]:
    """Reduce voxels, of which the first is at a place, the slow, plain way; give the new place."""
    first = zyx(a // f for a, f in zip(place, by, strict=True))
    stop = zyx(ceil_div(a + n, f) for a, n, f in zip(place, voxels.shape, by, strict=True))
    result = np.zeros(zyx(b - a for a, b in zip(first, stop, strict=True)), voxels.dtype)
    for index in np.ndindex(result.shape):
        region = []
        for i, a, f, p in zip(index, first, by, place, strict=True):
            start = (a + i) * f - p
            region.append(slice(max(0, start), start + f))
        block = voxels[tuple(region)]
        if kind == "image":
            result[index] = np.rint(block.mean(dtype=np.float64))
        else:
            values, counts = np.unique(block, return_counts=True)
            result[index] = values[counts == counts.max()].min()
    return result, first


@st.composite
def sources(draw: st.DrawFn) -> Stored:
    """Return a source with a random sparse ladder, each mip of random voxels and place."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40)))
    mips = sorted({0, *draw(st.sets(st.integers(1, 3), max_size=2))})
    source = Stored(
        "/nowhere",
        kind=draw(st.sampled_from(["image", "segmentation"])),
        voxel_size=draw(st.sampled_from([None, (8, 8, 8), (16, 8, 8), (33, 8, 8)])),
    )
    source.given, source.scales, z = {}, {}, 1
    seed = draw(st.integers(0, 99))
    for mip in mips:
        z *= draw(st.sampled_from([1, 2, 3])) if mip else 1
        factor = (z, 2**mip, 2**mip)
        size = zyx(ceil_div(n, f) for n, f in zip(shape, factor, strict=True))
        origin = draw(st.tuples(*[st.integers(-5, 5)] * 3))
        chunk = draw(st.tuples(*[st.integers(1, 20)] * 3))
        source.given[mip] = np.random.default_rng(seed + mip).integers(1, 9, size, np.uint8)
        source.scales[mip] = Scale(size, chunk, factor, origin)
    return source


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    source=sources(),
    offset=st.tuples(st.integers(-5, 5), st.integers(-30, 30), st.integers(-30, 30)),
    mip=st.integers(0, 5),
    start=st.tuples(*[st.integers(-20, 20)] * 3),
    extent=st.tuples(st.integers(1, 20), st.integers(1, 40), st.integers(1, 40)),
    block=st.sampled_from([64, 1 << 20]),
)
def test_a_box_of_any_mip(
    make_core: Callable[..., Core],
    source: Stored,
    offset: Zyx,
    mip: int,
    start: Zyx,
    extent: Zyx,
    block: int,
) -> None:
    def found(query: DataQuery) -> np.ndarray:
        volume = Volume(source, query.spec, block)
        core._cache.set(query.key, OpenChannel.of(volume))
        return core.find_tiles(query)

    core = make_core(block=block)
    factor = factor_at(mip, source.scales, source.voxel_size)
    stored = max(m for m in source.scales if m <= mip)
    scale = source.scales[stored]
    place = zyx(
        own + by // f for own, by, f in zip(scale.origin, offset, scale.factor, strict=True)
    )
    by = zyx(f // s for f, s in zip(factor, scale.factor, strict=True))
    truth, first = source.given[stored], place
    if mip != stored:
        truth, first = coarser(truth, place, by, source.kind)
    (z, y, x), (depth, height, width) = start, extent
    words: dict[str, Any] = {
        **{"path": "/nowhere", "voxel_offset": offset, "resolution": mip},
        **{"z": z, "y": y, "x": x, "depth": depth, "height": height, "width": width},
    }
    expected = padded_slice(truth, BoundingBox.of_shape(extent, start).relative_to(first))
    assert np.array_equal(found(BoxQuery(**words)), expected)
    # The same with sections of mip 0, each of which shows the one of the mip that it lies in.
    low, high = z // factor[0], ceil_div(z + depth, factor[0])
    box = BoundingBox((low, y, x), (high, y + height, x + width)).relative_to(first)
    shown = padded_slice(truth, box)
    expected = np.stack([shown[(z + i) // factor[0] - low] for i in range(depth)])
    assert np.array_equal(found(DataQuery(**words)), expected)


def test_a_level_is_where_the_finest_is(caplog: pytest.LogCaptureFixture) -> None:
    chunk = (1, 1, 1)
    levels = {
        "s0": StoredLevel((9, 64, 64), chunk, origin=(5, 6, 7)),
        "s1": StoredLevel((9, 32, 32), chunk),
        "s2": StoredLevel((9, 16, 16), chunk, origin=(5, 2, 2)),
    }
    found = ladder("/a/file", levels)
    assert [scale.origin for _, scale in found.values()] == [(5, 6, 7), (5, 3, 3), (5, 2, 2)]
    assert not caplog.messages
    levels["s3"] = StoredLevel((9, 8, 8), chunk, origin=(5, 0, 9))
    assert ladder("/a/file", levels)[3][1].origin == (5, 0, 9)
    assert "/a/file: the level s3 states its first voxel at (5, 0, 9) (zyx)" in caplog.text
