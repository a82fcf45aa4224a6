"""Supervoxels in two parts: which part keeps the id, in a box that they leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bfly.core import split_inside
from bfly.core.split_beyond import spread
from bfly.core.split_inside import inside_of
from bfly.errors import TooLarge
from bfly.geometry import BoundingBox
from bfly.splitting.min_cut import SINK, SOURCE
from bfly.splitting.refusal import Reason, SplitRefused

WHOLE = BoundingBox((2, 3, 4), (12, 23, 104))
SIZE = (8.0, 8.0, 8.0)


def channel() -> Any:
    """Two blocks with a bridge as label 7, and a bar of label 9 beside it."""
    labels = np.zeros(WHOLE.shape, np.uint16)
    labels[1:9, 2:10, 10:40] = 7
    labels[1:9, 2:10, 50:90] = 7
    labels[4:6, 5:7, 40:50] = 7
    labels[4:6, 14:16, 10:90] = 9
    return labels


def found(
    box: BoundingBox,
    *groups: list[list[int]],
    supervoxels: Any = (7,),
    image: Any = None,
    extent: Any = None,
):
    labels = channel()

    def read(part: BoundingBox) -> Any:
        return labels[part.relative_to(WHOLE.start).slices]

    def tissue(part: BoundingBox) -> Any:
        return None if image is None else image[part.relative_to(WHOLE.start).slices]

    points = [np.array(group) + WHOLE.start for group in groups]
    return inside_of(supervoxels, points, box, WHOLE, SIZE, read, tissue, extent)


LEFT, RIGHT = [[5, 5, 20]], [[5, 5, 70]]


def test_the_smaller_part_leaves_if_both_are_in_the_box() -> None:
    inside = found(WHOLE, LEFT, RIGHT)
    assert inside.side == SOURCE
    assert found(WHOLE, RIGHT, LEFT).side == SINK
    labels = channel()
    shown = inside.shown(labels, WHOLE)
    moved = shown == inside.new[0]
    assert np.array_equal(shown == 7, (labels == 7) & ~moved)
    x = np.flatnonzero(moved.any(axis=(0, 1)))
    assert x[0] == 10
    assert 39 <= x[-1] < 50
    assert moved[1:9, 2:10, 10:40].all()
    part = BoundingBox((5, 6, 7), (9, 20, 30))
    cut = part.relative_to(WHOLE.start).slices
    assert np.array_equal(inside.shown(labels[cut], part), shown[cut])


def test_the_part_that_leaves_the_box_keeps_the_id() -> None:
    """The face of the channel is no place where it goes on."""
    box = BoundingBox(WHOLE.start, (12, 23, 4 + 55))
    assert found(box, LEFT, [[5, 5, 53]]).side == SOURCE
    box = BoundingBox((2, 3, 4 + 35), WHOLE.stop)
    assert found(box, [[5, 5, 37]], RIGHT).side == SINK


def test_what_is_outside_the_box_goes_with_what_it_is_connected_to() -> None:
    """If it is known how far the supervoxel reaches; the larger part keeps the id then."""
    box = BoundingBox((2, 3, 4 + 35), (12, 23, 4 + 55))
    left, right = [[5, 5, 37]], [[5, 5, 53]]
    inside = found(box, left, right, extent=BoundingBox((3, 5, 14), (11, 13, 94)))
    shown = inside.shown(channel(), WHOLE)
    assert inside.side == SOURCE
    assert (shown[1:9, 2:10, 10:40] == inside.new[0]).all()
    assert (shown[1:9, 2:10, 50:90] == 7).all()


def test_what_touches_no_part_keeps_the_id() -> None:
    parts = np.zeros((1, 1, 4), np.uint8)
    parts[0, 0] = [0, 1, 2, 2]
    mask = np.array([[[1, 1, 0, 0, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0, 0, 0]]], bool)
    place = BoundingBox((0, 0, 0), (1, 2, 8))
    spread_out = spread(parts, BoundingBox((0, 0, 3), (1, 1, 7)), mask, place)
    assert spread_out.tolist() == [[[0, 0, 0, 0, 1, 2, 2, 2], [0] * 8]]


def test_several_supervoxels_are_split_to_the_same_side() -> None:
    """Each by its own points; the rest of the points are on one of them only."""
    left, right = [*LEFT, [5, 14, 15]], [*RIGHT, [5, 14, 60], [5, 14, 80]]
    inside = found(WHOLE, left, right, supervoxels=(9, 7))
    assert inside.old.tolist() == [7, 9]
    shown = inside.shown(channel(), WHOLE)
    assert set(np.unique(shown).tolist()) == {0, 7, 9, *inside.new.tolist()}
    assert shown[5, 14, 15] == inside.new[1]
    assert shown[5, 14, 80] == 9


def test_an_image_parts_along_a_membrane() -> None:
    """There is no neck in the bar; a dark section is where it is parted."""
    image = np.full(WHOLE.shape, 200, np.uint8)
    image[:, :, 30:32] = 10
    inside = found(WHOLE, [[5, 14, 14]], [[5, 14, 86]], supervoxels=(9,), image=image)
    shown = inside.shown(channel(), WHOLE)
    x = np.flatnonzero((shown == inside.new[0]).any(axis=(0, 1)))
    assert x[0] == 10
    assert 28 <= x[-1] <= 33


def test_what_cannot_be_split_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SplitRefused, match=r"the same voxel \(x 24, y 8, z 7\)") as refused:
        found(WHOLE, LEFT, [*LEFT, *RIGHT])
    assert refused.value.reason == Reason.SAME_VOXEL
    monkeypatch.setattr(split_inside, "LARGEST", 20)
    with pytest.raises(TooLarge, match=r"The supervoxel 7 has \d+ voxels .* allowed are 20"):
        found(WHOLE, LEFT, RIGHT)


def test_of_a_large_supervoxel_only_what_is_near_the_points_is_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Points stay in the box, and the rest keeps the id."""
    monkeypatch.setattr(split_inside, "LARGEST", 2000)
    left, right = [[5, 5, 36]], [[5, 5, 54]]
    inside = found(WHOLE, left, right)
    shown = inside.shown(channel(), WHOLE)
    assert (shown[5, 5, 36] == 7) != (shown[5, 5, 54] == 7)
    assert 0 < np.count_nonzero(inside.mask) < 2000
    assert shown[5, 5, 12] == shown[5, 5, 88] == 7
