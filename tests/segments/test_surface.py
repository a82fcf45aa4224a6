"""Surfaces: closed, exact, and without gaps between parts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.geometry import BoundingBox, indexes
from bfly.segments.surface import Surface, surface


def whole(mask: np.ndarray) -> Surface:
    """Return the surface of all voxels; those around the mask are outside."""
    vertices, triangles = surface(np.pad(mask, ((2, 1), (2, 1), (2, 1))))
    return Surface(vertices - 1, triangles)


def volume_of(mesh: Surface) -> float:
    """Return the volume by the divergence theorem; positive if triangles face outwards."""
    a, b, c = (mesh.vertices[mesh.triangles[:, corner]][:, ::-1] for corner in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def edges(meshes: list[Surface]) -> Counter[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Count the directed edges by the places of their ends; opposite ones cancel out."""
    found: Counter[tuple[tuple[float, ...], tuple[float, ...]]] = Counter()
    for vertices, triangles in meshes:
        places = [tuple(place) for place in vertices.tolist()]
        for triangle in triangles.tolist():
            for start, end in zip(triangle, (*triangle[1:], triangle[0]), strict=True):
                a, b = places[start], places[end]
                found[(a, b)] += 1 if a < b else 0
                found[(b, a)] -= 1 if b < a else 0
    return Counter({edge: count for edge, count in found.items() if count})


def open_edges(meshes: list[Surface]) -> int:
    return len(edges(meshes))


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    shape = draw(st.tuples(*[st.integers(1, 7)] * 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random.random(shape) < draw(st.sampled_from([0.1, 0.5, 0.9]))


@given(masks())
def test_every_surface_is_closed(mask: np.ndarray) -> None:
    mesh = whole(mask)
    assert open_edges([mesh]) == 0
    assert len(np.unique(mesh.triangles)) == len(mesh.vertices)
    if mask.any():
        assert volume_of(mesh) > 0
        assert (mesh.vertices >= 0).all()
        assert (mesh.vertices <= mask.shape).all()


@given(masks(), st.tuples(*[st.integers(1, 4)] * 3))
def test_parts_fit_together(mask: np.ndarray, cell: tuple[int, int, int]) -> None:
    padded = np.pad(mask, ((2, 1), (2, 1), (2, 1)))
    parts = []
    voxels = BoundingBox((-1, -1, -1), mask.shape)
    for index in indexes(voxels.in_tiles(cell)):
        box = BoundingBox.of_shape((1, 1, 1), index).refined(cell) & voxels
        start, stop = np.add(box.start, 1), np.add(box.stop, 3)
        part = padded[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
        vertices, triangles = surface(np.ascontiguousarray(part))
        parts.append(Surface(vertices + box.start, triangles))
    assert open_edges(parts) == 0
    mesh = whole(mask)
    assert sum(len(part.triangles) for part in parts) == len(mesh.triangles)
    assert {tuple(v) for part in parts for v in part.vertices} == {tuple(v) for v in mesh.vertices}


def test_a_cube_has_its_faces_on_voxel_faces() -> None:
    mask = np.zeros((9, 10, 11), bool)
    mask[2:6, 3:8, 1:10] = True
    mesh = whole(mask)
    assert mesh.vertices.min(axis=0).tolist() == [2, 3, 1]
    assert mesh.vertices.max(axis=0).tolist() == [6, 8, 10]
    assert volume_of(mesh) == pytest.approx(4 * 5 * 9, rel=0.1)  # edges are rounded


def test_a_section_of_one_voxel_keeps_its_thickness() -> None:
    mask = np.zeros((3, 40, 40), bool)
    mask[1] = True
    assert volume_of(whole(mask)) == pytest.approx(40 * 40, rel=0.05)


def test_nothing_has_no_surface() -> None:
    vertices, triangles = surface(np.zeros((4, 5, 6), bool))
    assert vertices.shape == triangles.shape == (0, 3)
    assert len(surface(np.ones((4, 5, 6), bool)).triangles) == 0
