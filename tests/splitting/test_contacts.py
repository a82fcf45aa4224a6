"""Contacts equal those found face by face, however the box is divided."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of

from bfly.geometry import BoundingBox
from bfly.splitting import affinities
from bfly.splitting.contacts import contacts, face_means, inner_means
from bfly.splitting.edges import LARGE, SHARPNESS, brightness_factors, contact_edges
from bfly.splitting.runs import joined, runs_in

VOXEL_SIZE = (40.0, 8.0, 4.0)
FACE = (8.0 * 4.0, 40.0 * 4.0, 40.0 * 8.0)
OWN = np.array([1, 2, 5, 1 << 16 | 1], np.uint64)

Place = tuple[int, int, int]

boxes = of.arrays(
    st.sampled_from([np.uint32, np.int32, np.uint64, np.int64]),
    of.array_shapes(min_dims=3, max_dims=3, max_side=6),
    elements=st.sampled_from([0, 1, 2, 3, 5, 1 << 16 | 1, 1 << 17 | 1]),
)


def faces(labels: np.ndarray) -> list[tuple[tuple[int, int], int, Place, Place]]:
    """Return the pair, the axis and both voxels of each face between the segment's supervoxels."""
    found = []
    for place in product(*map(range, labels.shape)):
        for axis in range(3):
            other = tuple(at + (step == axis) for step, at in enumerate(place))
            if other[axis] < labels.shape[axis]:
                low, high = sorted((int(labels[place]), int(labels[other])))
                if low != high and {low, high} <= set(OWN.tolist()):
                    found.append(((low, high), axis, place, other))
    return found


def areas(labels: np.ndarray) -> dict[tuple[int, int], float]:
    total: Counter[tuple[int, int]] = Counter()
    for pair, axis, _, _ in faces(labels):
        total[pair] += FACE[axis]  # type: ignore[assignment]
    return dict(sorted(total.items()))


def as_dict(touching: Any) -> dict[tuple[int, int], float]:
    return {
        (a, b): area for (a, b), area in zip(touching.pairs.tolist(), touching.areas, strict=True)
    }


@given(boxes)
def test_areas_are_those_of_all_faces(labels: np.ndarray) -> None:
    found = as_dict(contacts(runs_in(labels, OWN), VOXEL_SIZE))
    assert found == pytest.approx(areas(labels))
    assert list(found) == sorted(found)


@given(boxes, st.tuples(*[st.integers(-9, 9)] * 3))
def test_a_place_is_at_the_contact(labels: np.ndarray, origin: Place) -> None:
    touching = contacts(runs_in(labels, OWN, origin), VOXEL_SIZE)
    for pair, place in zip(touching.pairs.tolist(), touching.places - origin, strict=True):
        around = {
            place_ for key, _, *ends in faces(labels) for place_ in ends if key == tuple(pair)
        }
        assert tuple(place.tolist()) in around


@given(boxes, st.integers(0, 2), st.data())
def test_contacts_of_parts_are_those_of_the_whole(
    labels: np.ndarray, axis: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, labels.shape[axis]))
    start = tuple(at if each == axis else 0 for each in range(3))
    first, second = np.split(labels, [at], axis=axis)
    parts = [
        runs_in(np.ascontiguousarray(first), OWN),
        runs_in(np.ascontiguousarray(second), OWN, start),
    ]
    assert as_dict(contacts(joined(parts), VOXEL_SIZE)) == pytest.approx(areas(labels))


@given(boxes, st.randoms(use_true_random=False))
def test_means_are_those_of_all_faces(labels: np.ndarray, random: Any) -> None:
    values = np.random.default_rng(random.getrandbits(32)).integers(0, 255, labels.shape, np.uint8)
    touching = contacts(runs_in(labels, OWN, (3, 4, 5)), VOXEL_SIZE)
    expected: dict[Any, list[float]] = {}
    for pair, _, one, other in faces(labels):
        expected.setdefault(pair, []).append((float(values[one]) + float(values[other])) / 2)
    means = face_means(touching, values, (3, 4, 5))
    assert means == pytest.approx([np.mean(expected[p]) for p in sorted(expected)], rel=1e-5)


@given(boxes, st.randoms(use_true_random=False), st.integers(1, 4), st.sampled_from("uf"))
def test_affinities_are_those_of_the_voxel_behind_each_face(
    labels: np.ndarray, random: Any, block: int, kind: str
) -> None:
    """However rows of faces are divided into blocks."""
    random = np.random.default_rng(random.getrandbits(32))
    stored = random.integers(0, 256, (3, *labels.shape), np.uint8)
    values = stored if kind == "u" else stored.astype(np.float32) / 255
    origin = (3, 4, 5)
    touching = contacts(runs_in(labels, OWN, origin), VOXEL_SIZE)
    expected: dict[Any, list[float]] = {}
    for pair, axis, _, behind in faces(labels):
        expected.setdefault(pair, []).append(float(stored[axis][behind]) / 255)
    read: list[int] = []

    def box(axis: int, part: BoundingBox) -> np.ndarray:
        assert max(part.shape) <= block
        read.append(part.size)
        return values[axis][part.relative_to(origin).slices]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(affinities, "BLOCK", block)
        means = affinities.affinity_means(touching, box)
    assert means == pytest.approx([np.mean(expected[p]) for p in sorted(expected)], rel=1e-5)
    assert sum(read) <= 3 * labels.size


@given(boxes, st.randoms(use_true_random=False))
def test_volumes_and_means_inside_are_those_of_both_supervoxels(
    labels: np.ndarray, random: Any
) -> None:
    values = np.random.default_rng(random.getrandbits(32)).integers(0, 255, labels.shape, np.uint8)
    runs = runs_in(labels, OWN, (3, 4, 5))
    touching = contacts(runs, VOXEL_SIZE)
    middles: dict[int, list[int]] = {}
    for label, z, y, start, stop in zip(*(column.tolist() for column in runs), strict=True):
        middles.setdefault(label, []).append(int(values[z - 3, y - 4, (start + stop) // 2 - 5]))
    means = inner_means(touching, runs, values, (3, 4, 5))
    assert means.shape == touching.volumes.shape == touching.pairs.shape
    for pair, inside, volume in zip(touching.pairs, means, touching.volumes, strict=True):
        for one, mean, size in zip(pair.tolist(), inside, volume, strict=True):
            assert mean == pytest.approx(np.mean(middles[one]))
            assert size == np.count_nonzero(labels == one) * np.prod(VOXEL_SIZE)


def test_a_contact_weighs_less_if_it_is_dark_or_of_a_large_supervoxel() -> None:
    labels = np.array([1, 1, 2, 5, 5, 5, 5, 5], np.uint32).reshape(1, 1, 8)
    touching = contacts(runs_in(labels, OWN), (1.0, 1.0, 1.0))
    assert touching.pairs.tolist() == [[1, 2], [2, 5]]
    assert contact_edges(touching).weights == pytest.approx([2**-0.5, 5**-0.5])
    large = touching._replace(volumes=touching.volumes * LARGE)
    assert contact_edges(large).weights == pytest.approx([LARGE**-0.5] * 2)
    inside = np.array([[100.0, 50.0], [50.0, 80.0]])
    factors = brightness_factors(np.array([50.0, 80.0]), inside)
    weights = contact_edges(touching, factors).weights
    assert weights == pytest.approx([2**-0.5 * 0.5**SHARPNESS, 5**-0.5])


def test_a_large_box_is_read_in_steps() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (3, 300, 700), np.uint64)
    whole = contacts(runs_in(labels, OWN), VOXEL_SIZE)
    rows = [runs_in(labels[:, y : y + 1].copy(), OWN, (0, y, 0)) for y in range(300)]
    assert as_dict(contacts(joined(rows), VOXEL_SIZE)) == as_dict(whole)
    assert (runs_in(labels, OWN[:1]).labels == 1).all()


def test_a_segment_that_is_not_in_the_box_has_no_contacts() -> None:
    touching = contacts(runs_in(np.zeros((2, 3, 4), np.int32), OWN), VOXEL_SIZE)
    assert touching.pairs.shape == (0, 2)
    assert len(face_means(touching, np.zeros((2, 3, 4)), (0, 0, 0))) == 0
    assert len(affinities.affinity_means(touching, pytest.fail)) == 0
