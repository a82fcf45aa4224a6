"""Meshes of segments in fragments, one for each cell, made when they are asked for and kept."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from bfly.geometry import BoundingBox, Zyx, zyx
from bfly.segments.cells import box_of_cell, cells_of, pairs_of
from bfly.segments.posting import CELL
from bfly.segments.runs import runs_of
from bfly.segments.surface import Surface, surface

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.segments.segments import Segments
    from bfly.volumes.volume import Volume

__all__ = ["Fragment", "chosen_mip", "encoded", "fragments_of", "made"]

MOST_VOXELS = 1 << 23
"""Voxels of a segment at the mip of its mesh, about: some hundred thousand triangles."""

MOST_CELLS = 256
"""Cells of a segment at the mip of its mesh: a viewer requests each of them."""


class Read(Protocol):
    """Reads supervoxels of a mip, 0 outside the channel."""

    def __call__(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        """Return the voxels of a box (z, y, x) in the coordinates of the dataset."""


class Fragment(NamedTuple):
    """A part of the mesh of a segment.

    Parameters
    ----------
    mip : int
        Mip of the voxels.
    cell : tuple of int
        Cell of the mip (z, y, x).
    members : numpy.ndarray
        uint64, the supervoxels of the segment that are in the cell or next to it, in ascending
        order: a surface ends where the voxels around it begin.
    version : str
        A text that tells the patches in the cell or next to it; "" if there are none.
    """

    mip: int
    cell: Zyx
    members: NDArray[np.uint64]
    version: str = ""

    @property
    def digest(self) -> str:
        """Text that differs whenever an edit changes the fragment."""
        return hashlib.sha256(self.members.tobytes() + self.version.encode()).hexdigest()[:16]


def chosen_mip(volume: Volume, postings: NDArray[np.void]) -> int:
    """Return the finest mip at which the mesh of a segment is soon there.

    Parameters
    ----------
    volume : Volume
        The channel.
    postings : numpy.ndarray
        `POSTING` of the segment.
    """
    voxels = int(postings["voxels"].sum())
    for mip in range(volume.levels):
        size = voxels / np.prod(volume.level(mip).factor)
        if size <= MOST_VOXELS and len(cells_of(volume, mip, postings)) <= MOST_CELLS:
            return mip
    return volume.levels - 1


def fragments_of(
    segments: Segments,
    volume: Volume,
    id: int,  # noqa: A002
    mip: int | None = None,
) -> list[Fragment]:
    """Return the fragments of a segment, those with the most voxels first; none without voxels.

    A cell before the first voxel along an axis has one too: it has the faces between them. A
    fragment may be without triangles, since an index does not know the voxels.

    Parameters
    ----------
    segments : Segments
        The segments of the channel.
    volume : Volume
        The channel.
    id : int
        The segment.
    mip : int, optional
        A mip of it; `chosen_mip` by default.
    """
    postings = segments.index.postings(segments.members(id))
    if not len(postings):
        return []
    if mip is None:
        mip = chosen_mip(volume, postings)
    pairs = pairs_of(volume, mip, postings, margin=1)
    labels = postings["label"][pairs.rows]
    order = np.lexsort((labels, *pairs.cells.T[::-1]))
    cells, labels = pairs.cells[order], labels[order]
    is_new = np.ones(len(cells), bool)
    is_new[1:] = (cells[1:] != cells[:-1]).any(axis=1)
    first = np.flatnonzero(is_new)
    has_faces = np.logical_or.reduceat(pairs.has_faces[order], first)
    # A posting counts in the cell where it begins, which is the only one at mip 0.
    counted = postings["voxels"][pairs.rows[order]] * pairs.is_first[order]
    voxels = np.add.reduceat(counted, first)
    parts = np.split(labels, first[1:])
    wanted = [each for each in np.argsort(~voxels, kind="stable").tolist() if has_faces[each]]
    fragments = []
    for at in wanted:
        cell = zyx(cells[first[at]])
        version = segments.index.touched.version(_around(volume, mip, cell))
        fragments.append(Fragment(mip, cell, np.unique(parts[at]), version))
    return fragments


def _around(volume: Volume, mip: int, cell: Zyx) -> BoundingBox:
    """Return the voxels of mip 0 that a fragment depends on, counted from the channel's first."""
    box = BoundingBox.of_shape((1, 1, 1), cell).refined(CELL)
    wide = BoundingBox(zyx(at - 1 for at in box.start), zyx(at + 1 for at in box.stop))
    return wide.refined(volume.level(mip).factor).relative_to(volume.level(0).origin)


def made(volume: Volume, fragment: Fragment, read: Read) -> Surface:
    """Return a fragment, its vertices in nanometres (x, y, z) in the dataset.

    Fragments of neighbouring cells share the vertices on their border. A segment that ends with
    the channel is closed there.

    Parameters
    ----------
    volume : Volume
        The channel.
    fragment : Fragment
        A fragment of it.
    read : callable
        Reads supervoxels.

    Raises
    ------
    SourceError
        The voxels cannot be read.
    """
    box = box_of_cell(volume, fragment.mip, fragment.cell)
    first = volume.level(fragment.mip).place.start
    # A pair of neighbours belongs to its first voxel, and that may be before the channel.
    start = zyx(at - (at == whole) for at, whole in zip(box.start, first, strict=True))
    around = BoundingBox(zyx(at - 1 for at in start), zyx(at + 1 for at in box.stop))
    mask = _mask(read(fragment.mip, around), fragment.members)
    vertices, triangles = surface(mask)
    scale = np.array(volume.voxel_size_at(fragment.mip))
    places = ((vertices + start) * scale)[:, ::-1]
    # x, y, z instead of z, y, x turns the triangles; the surface has allowed for that.
    return Surface(places, triangles)


def _mask(voxels: np.ndarray[Any, np.dtype[Any]], members: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return where voxels are among some labels."""
    if len(members) == 1:
        only: NDArray[np.bool_] = voxels == voxels.dtype.type(members[0])
        return only
    mask = np.zeros(voxels.shape, bool)
    runs = runs_of(np.ascontiguousarray(voxels))
    hit = np.isin(runs.labels, members)
    _, height, width = voxels.shape
    starts = ((runs.z * height + runs.y) * width + runs.x)[hit]
    lengths = runs.lengths[hit]
    steps = np.zeros(mask.size + 1, np.int8)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + lengths, -1)
    mask.ravel()[:] = np.cumsum(steps[:-1], dtype=np.int8) > 0
    return mask


def encoded(mesh: Surface) -> bytes:
    """Return a mesh in the legacy format of precomputed meshes.

    The number of vertices (uint32), their x, y, z (float32, nanometres), and the three vertices
    of each triangle (uint32), all little-endian. Source: "Legacy single-resolution mesh format"
    of Neuroglancer's precomputed format.
    """
    return b"".join(
        (
            struct.pack("<I", len(mesh.vertices)),
            mesh.vertices.astype("<f4").tobytes(),
            mesh.triangles.astype("<u4").tobytes(),
        )
    )
