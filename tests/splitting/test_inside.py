"""Splits inside a supervoxel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of
from scipy import ndimage

from bfly.splitting.fronts import Fronts, Grid
from bfly.splitting.inside import split_inside
from bfly.splitting.refusal import Reason, SplitRefused

ONE = (1.0, 1.0, 1.0)


def at(*places: tuple[int, int, int]) -> np.ndarray:
    return np.array(places, np.int64).reshape(-1, 3)


def unless_inseparable(*arguments: Any) -> np.ndarray | None:
    try:
        return split_inside(*arguments)
    except SplitRefused as refused:
        if refused.reason is not Reason.INSEPARABLE:
            raise
    return None


def dumbbell(neck: int) -> np.ndarray:
    """Return two balls, the first one larger, and a bar between them that is thin at x = `neck`."""
    z, y, x = np.indices((31, 31, 80))
    radius = np.hypot(z - 15, y - 15)
    mask = (radius < 5) & (x > 10) & (x < 70)
    mask |= (radius**2 + (x - 15) ** 2 < 15**2) | (radius**2 + (x - 65) ** 2 < 10**2)
    mask[:, :, neck] &= radius[:, :, neck] < 1.5
    return mask


@pytest.mark.parametrize("neck", [36, 40, 44])
def test_fronts_meet_at_the_neck(neck: int) -> None:
    mask = dumbbell(neck)
    parts = split_inside(mask, ONE, at((15, 15, 12)), at((15, 15, 66)))
    before, behind = parts[:, :, : neck - 1], parts[:, :, neck + 2 :]
    assert set(np.unique(before)) == {0, 1}
    assert set(np.unique(behind)) == {0, 2}
    assert ((parts > 0) == mask).all()


def test_steps_are_as_long_as_voxels() -> None:
    mask = np.zeros((11, 3, 35), bool)
    mask[:, 1, 0] = mask[0, 1, :] = True
    parts = split_inside(mask, (40.0, 4.0, 4.0), at((10, 1, 0)), at((0, 1, 34)))
    # 10 sections are 400 nm and 34 columns 136 nm: the middle is 268 nm from both ends.
    assert np.flatnonzero(parts[:, 1, 0] == 2).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("shade", [60, 90])
def test_a_cut_follows_a_membrane(shade: int) -> None:
    random = np.random.default_rng(1)
    image = random.normal(140, 8, (24, 40, 40))
    y, x = np.indices((40, 40))
    is_first = y + x // 3 < 26
    image[:, np.abs(y + x // 3 - 26) < 2] = shade
    parts = split_inside(
        np.ones((24, 40, 40), bool),
        (10.0, 10.0, 10.0),
        at((12, 10, 10)),
        at((12, 35, 30)),
        image.clip(0, 255).astype(np.uint8),
    )
    is_wrong = (parts == 1) != is_first
    assert not is_wrong[:, np.abs(y + x // 3 - 26) > 4].any()
    assert is_wrong.mean() < 0.06


def test_a_group_is_joined_and_the_other_one_goes_around() -> None:
    mask = np.ones((1, 9, 9), bool)
    parts = split_inside(mask, ONE, at((0, 4, 0), (0, 4, 7)), at((0, 0, 4), (0, 8, 4)))
    assert [ndimage.label(parts == part)[1] for part in (1, 2)] == [1, 1]
    assert (parts[0, 4, 0], parts[0, 4, 7]) == (1, 1)
    assert (parts[0, 0, 4], parts[0, 8, 4]) == (2, 2)


def test_paths_prefer_the_middle() -> None:
    mask = np.ones((1, 21, 41), bool)
    mask[0, 0] = mask[0, -1] = False
    grid = Grid(mask, ONE)
    fronts = Fronts(grid, np.asarray((8 / grid.depth(8)) ** 2, np.int32))
    number = np.cumsum(mask).reshape(mask.shape) - 1
    fronts.start(number[0, 2, :1], 1)
    fronts.run()
    rows = np.argwhere(mask)[fronts.path(int(number[0, 2, 40]))][:, 1]
    assert rows[len(rows) // 2] >= 5


def test_components_without_points_go_to_the_part_that_they_touch() -> None:
    mask = np.zeros((1, 9, 20), bool)
    mask[0, 4, :] = True
    mask[0, 5, :3] = mask[0, 5, 17:] = True
    mask[0, 6, 16] = mask[0, 3, 3] = False
    mask[0, 6, 16] = True  # touches by an edge
    mask[0, 0, 0] = True  # touches nothing: the larger part
    parts = split_inside(mask, ONE, at((0, 4, 1)), at((0, 4, 15)))
    assert parts[0, 6, 16] == 2
    assert parts[0, 0, 0] == np.bincount(parts[0, 4:6].ravel(), minlength=3)[1:].argmax() + 1


def test_components_with_points_of_one_group_are_parted() -> None:
    mask = np.zeros((3, 3, 9), bool)
    mask[0], mask[2] = True, True
    parts = split_inside(mask, ONE, at((0, 1, 1)), at((2, 1, 1)), np.full(mask.shape, 9))
    assert (parts[0] == 1).all()
    assert (parts[2] == 2).all()


@given(
    of.arrays(bool, (5, 6, 7), elements=st.sampled_from([True, True, True, False])),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 6)), min_size=2),
    st.integers(0, 2**32),
    st.sampled_from([ONE, (30.0, 8.0, 8.0)]),
)
def test_parts_are_connected_and_hold_their_points(
    mask: np.ndarray, points: list[tuple[int, int, int]], seed: int, size: tuple[float, ...]
) -> None:
    inside = sorted({point for point in points if mask[point]})
    assume(len(inside) > 1)
    half = len(inside) // 2
    groups = at(*inside[:half]), at(*inside[half:])
    components, count = ndimage.label(mask)
    image = np.random.default_rng(seed).integers(0, 255, mask.shape, np.uint8)
    for values in (None, image):
        parts = unless_inseparable(mask, size, *groups, values)
        if parts is None:
            continue
        assert ((parts > 0) == mask).all()
        for part, group in enumerate(groups, 1):
            assert (parts[tuple(group.T)] == part).all()
        for component in range(1, count + 1):
            for part in (1, 2):
                assert ndimage.label((parts == part) & (components == component))[1] <= 1
        assert (parts == unless_inseparable(mask, size, *groups, values)).all()


@pytest.mark.parametrize(
    ("reason", "sources", "sinks", "words"),
    [
        (Reason.NO_POINTS, [], [(0, 0, 0)], "no points"),
        (Reason.SAME_VOXEL, [(0, 0, 0)], [(0, 3, 0)], "the same voxel .x 0, y 0, z 0."),
        (Reason.INSEPARABLE, [(0, 0, 0), (0, 0, 8)], [(0, 0, 4)], "cannot be told apart"),
    ],
)
def test_refusals_say_what_to_do(
    reason: Reason,
    sources: list[tuple[int, int, int]],
    sinks: list[tuple[int, int, int]],
    words: str,
) -> None:
    mask = np.zeros((1, 5, 9), bool)
    mask[0, 0] = True
    with pytest.raises(SplitRefused, match=words) as refused:
        split_inside(mask, ONE, at(*sources), at(*sinks))
    assert refused.value.reason is reason


def test_a_box_without_the_supervoxel_is_refused() -> None:
    with pytest.raises(SplitRefused, match="has no voxel in the box"):
        split_inside(np.zeros((2, 2, 2), bool), ONE, at((0, 0, 0)), at((1, 1, 1)))
