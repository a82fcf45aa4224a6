"""Where the supervoxels of a segment touch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.splitting.runs import SegmentRuns

    Places = NDArray[np.int64]
    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Contacts", "Faces", "contacts", "face_means", "inner_means"]


class Faces(NamedTuple):
    """Rows of faces between voxels, along x.

    Parameters
    ----------
    contact : numpy.ndarray
        int64, the contact to which each row belongs.
    axis : numpy.ndarray
        int64, the axis that the faces cross: 0 for z, 1 for y, 2 for x.
    z, y, x : numpy.ndarray
        int64, the voxel before the first face of each row; the other one is next along the axis.
    lengths : numpy.ndarray
        int64, faces in each row.
    """

    contact: Places
    axis: Places
    z: Places
    y: Places
    x: Places
    lengths: Places


class Contacts(NamedTuple):
    """Pairs of supervoxels with common faces, sorted.

    Parameters
    ----------
    pairs : numpy.ndarray
        uint64 of shape (n, 2): two supervoxels, the lower id first.
    areas : numpy.ndarray
        float64, nm² of the faces of each pair.
    volumes : numpy.ndarray
        float64 of shape (n, 2): nm³ of each of the two in the box.
    places : numpy.ndarray
        int64 of shape (n, 3): a voxel (z, y, x) at each contact, in the middle row of its faces.
    faces : Faces
        All faces, sorted by contact.
    """

    pairs: NDArray[np.uint64]
    areas: NDArray[np.float64]
    volumes: NDArray[np.float64]
    places: Places
    faces: Faces


def contacts(runs: SegmentRuns, voxel_size: tuple[float, float, float]) -> Contacts:
    """Return the contacts between the supervoxels of a segment.

    Parameters
    ----------
    runs : SegmentRuns
        The voxels of the segment in the box.
    voxel_size : tuple of float
        Nanometres (z, y, x).
    """
    ids = np.unique(runs.labels)
    labels = np.searchsorted(ids, runs.labels)
    rows = [
        np.stack([np.minimum(one, other), np.maximum(one, other), np.full_like(one, axis), *place])
        for axis, one, other, place in _rows(runs, labels)
    ]
    found = np.concatenate(rows, axis=1)
    keys = found[0] * len(ids) + found[1]
    order = np.argsort(keys, kind="stable")
    is_first = np.diff(keys[order], prepend=-1) > 0
    first, contact = np.flatnonzero(is_first), np.cumsum(is_first) - 1
    low, high, axis, z, y, x, lengths = found[:, order]
    dz, dy, dx = voxel_size
    face = np.array([dy * dx, dz * dx, dz * dy], np.float64)[axis]
    areas = np.bincount(contact, face * lengths, len(first)).astype(np.float64, copy=False)
    middle = (first + np.append(first[1:], len(low))) // 2
    ends = np.stack([low[first], high[first]], axis=1)
    volumes = np.bincount(labels, runs.stops - runs.x, len(ids)) * (dz * dy * dx)
    places = np.stack([z, y, x + lengths // 2], axis=1)[middle]
    return Contacts(ids[ends], areas, volumes[ends], places, Faces(contact, axis, z, y, x, lengths))


def _rows(
    runs: SegmentRuns, labels: Places
) -> Iterator[tuple[int, Places, Places, tuple[Places, Places, Places, Places]]]:
    """Yield an axis, the two supervoxels of each row of faces, and z, y, x and length of rows."""
    _, z, y, x, stops = runs
    one, other = np.arange(len(x) - 1), np.arange(1, len(x))
    touch = (stops[:-1] == x[1:]) & (y[:-1] == y[1:]) & (z[:-1] == z[1:])
    touch &= labels[:-1] != labels[1:]
    one, other = one[touch], other[touch]
    yield 2, labels[one], labels[other], (z[one], y[one], stops[one] - 1, np.ones_like(one))
    if not len(x):
        return
    # One number for each place, with room between rows and sections, so that no run is a neighbour
    # of one at the other end of a row or section.
    low = z.min(), y.min(), x.min()
    width, height = stops.max() - low[2] + 1, y.max() - low[1] + 2
    row = ((z - low[0]) * height + (y - low[1])) * width - low[2]
    starts, ends = row + x, row + stops
    for axis, stride in ((0, height * width), (1, width)):
        # Runs are sorted and do not overlap: those that overlap a shifted run are consecutive.
        first = np.searchsorted(ends, starts + stride, "right")
        counts = np.searchsorted(starts, ends + stride, "left") - first
        one = np.repeat(np.arange(len(x)), counts)
        within = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
        other = first[one] + within
        kept = labels[one] != labels[other]
        one, other = one[kept], other[kept]
        start, stop = np.maximum(x[one], x[other]), np.minimum(stops[one], stops[other])
        yield axis, labels[one], labels[other], (z[one], y[one], start, stop - start)


def face_means(touching: Contacts, values: Voxels, origin: Zyx) -> NDArray[np.float64]:
    """Return the mean of an image across the faces of each contact: both voxels of a face count.

    Parameters
    ----------
    touching : Contacts
        Pairs of supervoxels.
    values : numpy.ndarray
        Of shape (z, y, x): the image.
    origin : tuple of int
        First voxel (z, y, x) of `values`, which covers all faces.
    """
    contact, axis, z, y, x, lengths = touching.faces
    if not len(contact):
        return np.zeros(0)
    _, height, width = values.shape
    strides = np.array([height * width, width, 1])[axis]
    start = ((z - origin[0]) * height + (y - origin[1])) * width + (x - origin[2])
    begins = np.cumsum(lengths) - lengths
    total = int(lengths.sum())
    behind = np.repeat(start + strides - begins, lengths) + np.arange(total)
    flat = values.reshape(-1)
    sampled = flat[behind] + flat[behind - np.repeat(strides, lengths)].astype(np.float64)
    sampled /= 2
    first = begins[np.flatnonzero(np.diff(contact, prepend=-1))]
    sums: NDArray[np.float64] = np.add.reduceat(sampled, first)
    return sums / np.diff(first, append=total)


def inner_means(
    touching: Contacts, runs: SegmentRuns, values: Voxels, origin: Zyx
) -> NDArray[np.float64]:
    """Return the mean of an image inside the two supervoxels of each contact, of shape (n, 2).

    One voxel of each run counts, the middle one: long runs have no more weight than short ones, and
    membranes at their ends have none.

    Parameters
    ----------
    touching : Contacts
        Pairs of supervoxels.
    runs : SegmentRuns
        The voxels of the segment.
    values : numpy.ndarray
        Of shape (z, y, x): the image.
    origin : tuple of int
        First voxel (z, y, x) of `values`, which covers all runs.
    """
    ids = np.unique(runs.labels)
    labels = np.searchsorted(ids, runs.labels)
    middle = (runs.x + runs.stops) // 2
    sampled = values[runs.z - origin[0], runs.y - origin[1], middle - origin[2]]
    means = np.bincount(labels, sampled, len(ids)) / np.bincount(labels, minlength=len(ids))
    result: NDArray[np.float64] = means[np.searchsorted(ids, touching.pairs)]
    return result
