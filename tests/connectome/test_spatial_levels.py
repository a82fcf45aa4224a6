from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.connectome.spatial_levels import LIMIT, levels
from bfly.databases.lod import TOP
from bfly.errors import Absent

AXES = st.tuples(st.integers(-(2**40), 2**40), st.integers(0, 2**40))
SIZES = st.tuples(*3 * [st.floats(0.1, 1000)])


def ranges_of(axes):
    return {name: (low, low + extent) for name, (low, extent) in zip("zyx", axes, strict=True)}


@given(st.integers(1, 10**12), st.tuples(AXES, AXES, AXES), SIZES)
def test_levels_divide_all_there_is(count, axes, voxel_size):
    found = levels(count, ranges_of(axes), voxel_size)
    # Each tier is in one level, the highest ones in the coarsest.
    tiers = [tier for level in found for tier in range(level.first, level.last + 1)]
    assert sorted(tiers) == list(range(TOP + 1))
    assert found[0].last == TOP
    assert found[0].grid == (1, 1, 1)
    assert count <= LIMIT * 8 ** (len(found) - 1)
    whole = found[0].size
    for (low, extent), start, size in zip(axes, found[0].origin, whole, strict=True):
        assert start == low
        assert size > extent
    for coarse, fine in itertools.pairwise(found):
        assert np.prod(fine.grid, dtype=object) <= 8 * np.prod(coarse.grid, dtype=object)
        for a, b in zip(coarse.size, fine.size, strict=True):
            assert a % b == 0
    for level in found:
        assert tuple(g * s for g, s in zip(level.grid, level.size, strict=True)) == whole


def test_cells_are_cubes_as_far_as_they_can_be():
    ranges = ranges_of([(0, 999), (0, 9999), (0, 9999)])
    *_, finest = levels(10**7, ranges, (40, 4, 4))
    sides = np.multiply(finest.size, (40, 4, 4))
    assert max(sides) <= 2 * min(sides)
    flat = levels(10**7, ranges_of([(5, 0), (0, 9999), (0, 9999)]), (40, 4, 4))
    assert {level.grid[0] for level in flat} == {1}
    assert {level.grid for level in levels(10**7, ranges_of(3 * [(0, 0)]), (1, 1, 1))} == {
        (1, 1, 1)
    }


def test_the_ends_of_lines_are_within_the_bounds():
    ranges = {**ranges_of(3 * [(10, 10)]), "pre_x": (3.0, 5.0), "post_z": (11.0, 90.0)}
    (level,) = levels(5, ranges, (1, 1, 1))
    assert (level.origin, level.size) == ((10, 10, 3), (81, 11, 18))


def test_there_is_no_cell_beyond_the_grid():
    (level,) = levels(5, ranges_of(3 * [(10, 10)]), (1, 1, 1))
    assert level.box((0, 0, 0)).stop == (21, 21, 21)
    with pytest.raises(Absent, match=r"\(1, 0, 0\) is not in the grid \(1, 1, 1\)"):
        level.box((0, 0, 1))
