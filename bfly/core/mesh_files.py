"""Whole meshes as files: the fragments of a segment, joined on disk and sent."""

from __future__ import annotations

from itertools import chain
from math import prod
from typing import TYPE_CHECKING

from bfly.concurrency.admission import check_wanted
from bfly.errors import Absent, TooLarge
from bfly.segments.fragments import Fragment, fragments_of
from bfly.segments.mesh_files import MeshOnDisk, written
from bfly.segments.welding import Welder, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bfly.queries.mesh_file import MeshFileQuery
    from bfly.segments.segments import Segments

__all__ = ["MOST_CELLS", "MOST_TRIANGLES", "mesh_file"]

MOST_TRIANGLES = 1 << 24
"""Triangles of a file: 300 MiB in PLY, 800 MiB in STL."""

MOST_CELLS = 1 << 13
"""Cells that are read for a file, of a million voxels each."""


def mesh_file(
    query: MeshFileQuery, segments: Segments, bytes_of: Callable[[Fragment], bytes]
) -> Iterator[bytes]:
    """Return an iterator of the file of a segment's mesh, which is whole by then.

    Parameters
    ----------
    query : MeshFileQuery
        Its source is set.
    segments : Segments
        The segments of its channel.
    bytes_of : callable
        Returns a fragment in the legacy format.

    Raises
    ------
    Absent
        There is no such mip, or the segment has no voxels at it.
    TooLarge
        It would have more than `MOST_TRIANGLES`, or more than `MOST_CELLS` would be read.
    SourceError
        Voxels cannot be read.
    """
    volume, number = query.volume, query.id or 0
    if query.mip is not None:
        volume.check_mip(query.mip)
    fragments = fragments_of(segments, volume, number, query.mip)
    if not fragments:
        raise Absent(f"There is no segment {number} in {volume.spec.path}.")
    mip = fragments[0].mip
    _check_least(query, segments, mip, len(fragments))
    # Neighbours follow each other, so that their tiles are still in memory.
    fragments.sort(key=lambda each: each.cell)
    parts = _parts(query, fragments, bytes_of)
    return chain([next(parts)], parts)


def _parts(
    query: MeshFileQuery, fragments: list[Fragment], bytes_of: Callable[[Fragment], bytes]
) -> Iterator[bytes]:
    mip = fragments[0].mip
    welder = Welder(query.volume.voxel_size_at(mip))
    with MeshOnDisk() as mesh:
        for fragment in fragments:
            check_wanted()
            mesh.add(welder.add(fragment.cell, decoded(bytes_of(fragment))))
            if mesh.triangles > MOST_TRIANGLES:
                raise _too_large(query, mip, f"more than {MOST_TRIANGLES} triangles", mip + 1)
        if not mesh.triangles:
            raise Absent(f"The segment {query.id} has no voxels at mip {mip}; ask for a finer one.")
        yield from written(mesh, query.format)


def _check_least(query: MeshFileQuery, segments: Segments, mip: int, cells: int) -> None:
    """Raise `TooLarge` if the mesh is too large whatever the shape of the segment."""
    volume = query.volume
    postings = segments.index.postings(segments.members(query.id or 0))
    voxels = int(postings["voxels"].sum())

    def least(mip: int) -> int:
        # No body of so many voxels has fewer faces than a cube; a face is two triangles.
        return int(12 * (voxels / prod(volume.level(mip).factor)) ** (2 / 3))

    if least(mip) <= MOST_TRIANGLES and cells <= MOST_CELLS:
        return
    coarser = (
        each
        for each in range(mip + 1, volume.levels)
        if least(each) <= MOST_TRIANGLES
        and len(fragments_of(segments, volume, query.id or 0, each)) <= MOST_CELLS
    )
    size = f"at least {least(mip)} triangles in {cells} cells"
    raise _too_large(query, mip, size, next(coarser, volume.levels))


def _too_large(query: MeshFileQuery, mip: int, size: str, coarser: int) -> TooLarge:
    advice = (
        f"Ask for mip={coarser}." if coarser < query.volume.levels else "There is no coarser mip."
    )
    return TooLarge(
        f"The mesh of the segment {query.id} has {size} at mip {mip}; at most {MOST_TRIANGLES} "
        f"triangles and {MOST_CELLS} cells are sent in a file. {advice}"
    )
