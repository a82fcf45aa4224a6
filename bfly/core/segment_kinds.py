"""Answers to queries about segments, and to those for files that are stored with a volume."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bfly.core.kinds import MESHES, Answer, Kind
from bfly.core.stored_files import passed_file
from bfly.cutouts.streamed import Stream
from bfly.errors import Absent
from bfly.queries.mesh import MeshQuery
from bfly.queries.mesh_file import MeshFileQuery
from bfly.queries.multires import MultiresQuery
from bfly.queries.segments import SegmentsQuery, SparseVolumeQuery
from bfly.queries.skeleton import SkeletonFileQuery, SkeletonQuery
from bfly.queries.stored_file import StoredFileQuery
from bfly.volumes.stored_layers import offered_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.core.core import Core
    from bfly.queries.query import Query

__all__ = ["KINDS", "passed"]

NO_CACHE = (b"cache-control", b"public, no-cache")
"""Header for what an edit may change at any time, the first one too, and for an index whose
fragments are requested next: both have to be of the same state."""


def _segments(core: Core, query: SegmentsQuery, _codings: Sequence[str]) -> Answer:
    return Answer(core.segments.answer(query))


def _sparse_volume(core: Core, query: SparseVolumeQuery, _codings: Sequence[str]) -> Stream:
    parts = partial(core.segments.sparse_volume, query)
    return Stream(parts=lambda _start: parts(), media_type=query.mime_type, group=query.path)


def _stored_file(core: Core, query: StoredFileQuery, codings: Sequence[str]) -> Answer | Stream:
    found = passed(core, query, codings)
    if found is None:
        raise Absent(
            f"There is no /{query.file} in a volume, only /info, /MIP/X-X_Y-Y_Z-Z, and the files "
            "of the meshes, skeletons, segment properties and annotations stored with it."
        )
    return found


def passed(core: Core, query: StoredFileQuery, codings: Sequence[str]) -> Answer | Stream | None:
    """Return a file that is stored with a volume; None if there is none."""
    query.update_source(core.update_query(query))
    found = passed_file(query.volume, query.file, query.mime_type, codings, core.budget)
    return Answer(*found) if isinstance(found, tuple) else found


def _mesh(core: Core, query: MeshQuery, codings: Sequence[str]) -> Answer | Stream:
    query.update_source(core.update_query(query))
    if "mesh" in offered_layers(query.volume):
        return _stored_file(core, query, codings)
    return Answer(core.meshes.answer(query))


def _mesh_file(core: Core, query: MeshFileQuery, _codings: Sequence[str]) -> Stream:
    saved = b'attachment; filename="%s"' % query.file_name.encode()
    return Stream(
        parts=lambda _start: core.meshes.file(query),
        media_type=query.mime_type,
        group=MESHES,
        headers=[(b"content-disposition", saved)],
    )


def _multires(core: Core, query: MultiresQuery, codings: Sequence[str]) -> Answer | Stream:
    found = passed(core, query, codings)
    if found is not None:
        return found
    answer = core.multires.answer(query)
    return answer if isinstance(answer, Stream) else Answer(answer, headers=[NO_CACHE])


def _skeleton_file(core: Core, query: SkeletonFileQuery, codings: Sequence[str]) -> Answer | Stream:
    query.update_source(core.update_query(query))
    if "skeletons" in offered_layers(query.volume):
        return _stored_file(core, query, codings)
    return Answer(core.skeletons.file(query))


def _skeleton(core: Core, query: SkeletonQuery, _codings: Sequence[str]) -> Answer:
    return Answer(core.skeletons.text(query))


KINDS: dict[type[Query], Kind] = {
    StoredFileQuery: Kind(_stored_file),
    MeshQuery: Kind(_mesh, MESHES),
    MeshFileQuery: Kind(_mesh_file, ""),
    MultiresQuery: Kind(_multires, MESHES),
    SkeletonFileQuery: Kind(_skeleton_file),
    SkeletonQuery: Kind(_skeleton),
    SegmentsQuery: Kind(_segments),
    SparseVolumeQuery: Kind(_sparse_volume, ""),
}
"""Their part of the dispatch table."""
