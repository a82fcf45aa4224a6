"""Skeletons: along the middle, to every end, as trees."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt, label

from bfly.geometry import BoundingBox
from bfly.segments.kept_skeleton import KeptSkeleton
from bfly.segments.skeleton import Skeleton, skeleton
from bfly.segments.voxel_graph import graph_of, radii_of

SIZE = (30.0, 8.0, 8.0)


def tube(points: list[tuple[float, float, float]], radius: float) -> np.ndarray:
    """Return the voxels within a distance of a line in nanometres (z, y, x)."""
    shape = np.ceil((np.max(points, axis=0) + 2 * radius) / SIZE).astype(int)
    centres = (np.stack(np.indices(shape), axis=-1) + 0.5) * SIZE
    inside = np.zeros(shape, bool)
    for start, end in pairwise(points):
        a, along = np.array(start), np.subtract(end, start)
        t = (((centres - a) @ along) / (along @ along)).clip(0, 1)
        inside |= np.linalg.norm(centres - a - t[..., None] * along, axis=-1) < radius
    return np.argwhere(inside)


def check_forest(made: Skeleton, trees: int) -> None:
    assert (made.parents < np.arange(len(made.parents))).all()
    assert (made.parents == -1).sum() == trees
    assert len(np.unique(made.edges[:, 1])) == len(made.edges) == len(made.parents) - trees


def ends(made: Skeleton) -> int:
    degrees = np.bincount(made.edges.ravel(), minlength=len(made.parents))
    return int((degrees == 1).sum())


def away_from(points: list[tuple[float, float, float]], vertices: np.ndarray) -> np.ndarray:
    away = np.full(len(vertices), np.inf)
    for start, end in pairwise(points):
        a, along = np.array(start), np.subtract(end, start)
        t = (((vertices - a) @ along) / (along @ along)).clip(0, 1)
        away = np.minimum(away, np.linalg.norm(vertices - a - t[:, None] * along, axis=1))
    return away


def test_a_bent_tube_is_a_line_along_its_middle() -> None:
    points = [(150.0, 200.0, 200.0), (900.0, 900.0, 300.0), (900.0, 1600.0, 1500.0)]
    made = skeleton(tube(points, 110), SIZE)
    check_forest(made, 1)
    assert ends(made) == 2
    assert made.branch_points == 0
    true = sum(np.linalg.norm(np.subtract(a, b)) for a, b in pairwise(points))
    # It goes to the ends of the tube, which are a radius farther.
    assert made.lengths.sum() == pytest.approx(true + 2 * 110, rel=0.05)
    assert np.median(away_from(points, made.vertices)) < 20
    assert np.median(made.radii) == pytest.approx(110, rel=0.15)


def test_a_fork_has_three_ends() -> None:
    trunk = tube([(300.0, 1000.0, 200.0), (300.0, 1000.0, 1500.0)], 90)
    left = tube([(300.0, 1000.0, 1500.0), (300.0, 200.0, 2600.0)], 90)
    right = tube([(300.0, 1000.0, 1500.0), (300.0, 1900.0, 2600.0)], 90)
    made = skeleton(np.unique(np.concatenate([trunk, left, right]), axis=0), SIZE)
    check_forest(made, 1)
    assert ends(made) == 3
    assert made.branch_points == 1


def test_parts_that_do_not_touch_are_trees() -> None:
    one = tube([(150.0, 200.0, 200.0), (150.0, 200.0, 1500.0)], 60)
    two = one + np.array([0, 0, 400])
    lonely = np.array([[90, 90, 90]])
    made = skeleton(np.concatenate([one, two, lonely]), SIZE)
    check_forest(made, 3)
    assert ends(made) == 4


@pytest.mark.parametrize("count", [1, 2])
def test_a_few_voxels_have_a_skeleton(count: int) -> None:
    made = skeleton(np.array([[4, 5, 6], [4, 5, 7]][:count]), SIZE)
    check_forest(made, 1)
    assert made.vertices[0].tolist()[:2] == [4.5 * 30, 5.5 * 8]


def test_a_thin_line_is_itself() -> None:
    made = skeleton(np.stack([np.full(90, 3), np.full(90, 4), np.arange(90)], axis=1), SIZE)
    check_forest(made, 1)
    assert made.lengths.sum() == pytest.approx(89 * 8)
    assert (made.vertices[:, :2] == [3.5 * 30, 4.5 * 8]).all()


def test_a_plane_and_a_filled_volume_have_one() -> None:
    plane = np.argwhere(np.ones((1, 60, 80), bool))
    check_forest(skeleton(plane, SIZE), 1)
    filled = np.ones((20, 30, 40), bool)
    made = skeleton(np.argwhere(filled), SIZE, BoundingBox((0, 0, 0), (20, 30, 40)))
    check_forest(made, 1)
    assert np.isfinite(made.radii).all()


def test_a_face_of_the_volume_is_no_surface() -> None:
    points = [(300.0, 400.0, 0.0), (300.0, 400.0, 3000.0)]
    cut = tube(points, 150)
    whole = BoundingBox((0, 0, 0), (30, 200, 375))
    inner = cut[cut[:, 2] < 375]
    made = skeleton(inner, SIZE, whole)
    near_face = np.abs(made.vertices[:, 2] - 2850).argmin()
    assert made.radii[near_face] == pytest.approx(150, rel=0.25)
    assert away_from(points, made.vertices[near_face][None])[0] < 40


def test_the_order_of_voxels_does_not_matter() -> None:
    places = tube([(150.0, 200.0, 200.0), (150.0, 900.0, 900.0)], 70)
    mixed = np.random.default_rng(0).permutation(places)
    for one, other in zip(skeleton(places, SIZE), skeleton(mixed, SIZE), strict=True):
        assert np.array_equal(one, other)


masks = arrays(bool, st.tuples(*[st.integers(1, 9)] * 3)).filter(lambda mask: bool(mask.any()))


@settings(deadline=None, max_examples=60)
@given(masks, st.integers(1, 3), st.booleans())
def test_any_voxels_have_a_tree_for_each_component(
    small: np.ndarray, times: int, is_cut: bool
) -> None:
    mask = small.repeat(times, 0).repeat(times, 1).repeat(times, 2)
    places = np.argwhere(mask)
    volume = BoundingBox((0, 0, 0), mask.shape) if is_cut else None
    made = skeleton(places, SIZE, volume)
    _, count = label(mask, np.ones((3, 3, 3)))
    check_forest(made, count)
    voxel = np.floor(made.vertices / SIZE).astype(int)
    apart = np.abs(voxel[:, None] - places).max(axis=2).min(axis=1)
    assert (apart <= 1).all()
    kept = KeptSkeleton.unpacked(KeptSkeleton.of(made, 3).packed)
    assert np.array_equal(kept.parents, made.parents)
    assert np.allclose(kept.vertices, made.vertices[:, ::-1])
    assert np.allclose(kept.radii, made.radii)
    assert (kept.mip, kept.branch_points) == (3, made.branch_points)


@settings(deadline=None, max_examples=60)
@given(masks, st.booleans())
def test_radii_are_exact(mask: np.ndarray, is_cut: bool) -> None:
    places = np.argwhere(mask)
    volume = BoundingBox((0, 0, 0), mask.shape) if is_cut and not mask.all() else None
    around = mask if volume else np.pad(mask, 1)
    expected = distance_transform_edt(around, sampling=SIZE)[around]
    assert np.allclose(radii_of(graph_of(places, volume), np.array(SIZE)), expected)


def test_thousands_of_specks_are_a_vertex_each() -> None:
    places = np.argwhere(np.ones((20, 20, 20), bool)) * 3
    made = skeleton(places, SIZE)
    check_forest(made, 8000)
    assert len(made.vertices) == 8000
