import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bfly.geometry import BoundingBox, Scale, Zyx, ceil_div, copy_rows, fit_tile, indexes, zyx

point = st.tuples(*[st.integers(-50, 50)] * 3)
extent = st.tuples(*[st.integers(1, 60)] * 3)


def test_zyx_gives_plain_integers() -> None:
    numbers = zyx(np.array([1, 2, 3], np.uint8))
    assert numbers == (1, 2, 3)
    assert type(numbers[0]) is int


@given(st.integers(-1000, 1000), st.integers(1, 50))
def test_ceil_div(value: int, divisor: int) -> None:
    assert ceil_div(value, divisor) == math.ceil(value / divisor)


@given(point, extent, point, extent)
def test_the_intersection_holds_just_the_common_voxels(a: Zyx, m: Zyx, b: Zyx, n: Zyx) -> None:
    one, other = BoundingBox.of_shape(m, a), BoundingBox.of_shape(n, b)
    common = one & other
    along = [
        len(set(range(p, p + i)) & set(range(q, q + j)))
        for p, i, q, j in zip(a, m, b, n, strict=True)
    ]
    assert common.size == math.prod(along)
    if common.size:
        assert common in one
        assert common in other


@given(point, extent, extent)
def test_tiles_cover_the_box_and_no_more(start: Zyx, shape: Zyx, tile: Zyx) -> None:
    box = BoundingBox.of_shape(shape, start)
    tiles = [
        BoundingBox.of_shape(tile, zyx(i * t for i, t in zip(index, tile, strict=True)))
        for index in indexes(
            BoundingBox.of_shape(zyx(map(min, shape, (3, 3, 3))), start).in_tiles(tile)
        )
    ]
    small = BoundingBox.of_shape(zyx(map(min, shape, (3, 3, 3))), start)
    assert sum((t & small).size for t in tiles) == small.size
    assert all((t & small).size for t in tiles)
    assert box.in_tiles((1, 1, 1)) == box


@given(point, extent, st.tuples(*[st.integers(1, 5)] * 3))
def test_refined_voxels(start: Zyx, shape: Zyx, factor: Zyx) -> None:
    fine = BoundingBox.of_shape(shape, start).refined(factor)
    assert fine.size == math.prod(shape) * math.prod(factor)
    assert fine.in_tiles(factor) == BoundingBox.of_shape(shape, start)


def test_slices_and_shift() -> None:
    box = BoundingBox((1, 2, 3), (4, 6, 8))
    voxels = np.arange(1000).reshape(10, 10, 10)
    assert voxels[box.slices].shape == box.shape == (3, 4, 5)
    assert box.shift((1, 1, 1)).relative_to((1, 1, 1)) == box
    assert list(indexes(BoundingBox((0, 0, 0), (1, 2, 2))))[1] == (0, 0, 1)
    assert Scale((2, 3, 4), (1, 1, 1)).box.size == 24


@given(extent, extent, st.sampled_from([1, 2, 8]), st.integers(0, 3000), st.integers(1, 20_000))
def test_a_tile_never_straddles_chunks(
    chunk: Zyx, shape: Zyx, itemsize: int, smallest: int, largest: int
) -> None:
    tile = fit_tile(chunk, shape, itemsize, smallest, max(smallest, largest))
    for t, c, n in zip(tile, chunk, shape, strict=True):
        assert t % c == 0 or c % t == 0 or (c >= n and t < c)


def test_usual_chunks_are_the_tiles() -> None:
    assert fit_tile((64, 64, 64), (999, 999, 999), 1, 128 << 10, 1 << 20) == (64, 64, 64)


def test_a_large_section_is_divided_and_small_chunks_are_joined() -> None:
    section = fit_tile((1, 20_000, 30_000), (100, 20_000, 30_000), 1, 128 << 10, 1 << 20)
    assert section[0] == 1
    assert math.prod(section) <= 1 << 20
    small = fit_tile((8, 8, 8), (999, 999, 999), 1, 128 << 10, 1 << 20)
    assert 128 << 10 <= math.prod(small) < 256 << 10


@given(st.sampled_from(["u1", "<u8", "<f4"]), st.sampled_from([(2, 3, 5), (30, 40, 50)]), st.data())
def test_rows_are_copied_whatever_their_number_and_order(
    dtype: str, shape: Zyx, data: st.DataObject
) -> None:
    axes = data.draw(st.permutations(range(3)))
    step = data.draw(st.sampled_from([1, 2]))
    values = np.arange(8 * math.prod(shape)).astype(dtype).reshape([2 * n for n in shape])
    voxels = values.transpose(axes)[: shape[0], : shape[1], : shape[2] * step : step]
    target = np.zeros([n + 2 for n in voxels.shape], data.draw(st.sampled_from([dtype, "<u4"])))
    copy_rows(voxels, target[1:-1, 1:-1, 1:-1])
    assert (target[1:-1, 1:-1, 1:-1] == voxels.astype(target.dtype)).all()
    assert np.count_nonzero(target) == np.count_nonzero(voxels.astype(target.dtype))
