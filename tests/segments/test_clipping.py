"""Cuts by planes: nothing crosses them, nothing is lost, and both sides have the same vertices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.segments.clipping import clipped, cut, sides
from bfly.segments.surface import Surface
from tests.segments.test_surface import masks, open_edges, volume_of, whole


@given(masks(), st.integers(0, 2), st.integers(-4, 16))
def test_a_cut_keeps_the_surface(mask: np.ndarray, axis: int, halves: int) -> None:
    mesh, at = whole(mask), halves / 2 + 0.125 * (halves % 3)
    both = cut(mesh, axis, at)
    places = both.vertices[:, axis][both.triangles] - at
    assert ((places >= 0).all(axis=1) | (places <= 0).all(axis=1)).all()
    assert volume_of(both) == pytest.approx(volume_of(mesh))
    assert open_edges([both]) == 0
    is_above = sides(both, axis, at)
    parts = [Surface(both.vertices, both.triangles[part]) for part in (is_above, ~is_above)]
    assert open_edges(parts) == 0


@given(masks(), st.tuples(*[st.integers(2, 4)] * 3))
def test_boxes_side_by_side_have_the_whole(mask: np.ndarray, cell: tuple[int, int, int]) -> None:
    mesh = whole(mask)
    counts = [-(-side // step) for side, step in zip(mask.shape, cell, strict=True)]
    parts = []
    for node in np.ndindex(*counts):
        start = [i * step if i else None for i, step in zip(node, cell, strict=True)]
        stop = [
            (i + 1) * step if i + 1 < count else None
            for i, step, count in zip(node, cell, counts, strict=True)
        ]
        part = clipped(mesh, start, stop)
        used = part.vertices[np.unique(part.triangles)]
        for axis in range(3):
            assert start[axis] is None or (used[:, axis] >= start[axis]).all()
            assert stop[axis] is None or (used[:, axis] <= stop[axis]).all()
        parts.append(part)
    assert open_edges(parts) == 0
    assert sum(map(volume_of, parts)) == pytest.approx(volume_of(mesh))


def test_what_is_in_a_plane_is_above_it() -> None:
    mask = np.zeros((4, 4, 8), bool)
    mask[:, :, :4] = True
    mesh = whole(mask)
    left, right = (
        clipped(mesh, [None] * 3, [None, None, 4]),
        clipped(mesh, [None, None, 4], [None] * 3),
    )
    assert (right.vertices[np.unique(right.triangles)][:, 2] == 4).all()
    assert len(right.triangles) > 0
    assert open_edges([left]) > 0 == open_edges([left, right])
