"""Dispatch: one table from kinds of queries to the functions that answer them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bfly.core.stored_files import passed_file
from bfly.cutouts.streamed import Stream
from bfly.errors import Absent
from bfly.protocols.precomputed import GroupChunkQuery
from bfly.protocols.ready import FinishedQuery
from bfly.queries.annotation import AnnotationQuery
from bfly.queries.data import DataQuery
from bfly.queries.dataset import DatasetQuery
from bfly.queries.feature import FeatureQuery, RowsQuery
from bfly.queries.info import InfoQuery
from bfly.queries.label import LabelQuery
from bfly.queries.mesh import MeshQuery
from bfly.queries.overview import CountsQuery
from bfly.queries.pieces import PiecesQuery
from bfly.queries.segments import SegmentsQuery, SparseVolumeQuery
from bfly.queries.stored_file import StoredFileQuery
from bfly.queries.viewer_state import KeepStateQuery, StateQuery
from bfly.volumes.stored_layers import offered_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bfly.core.core import Core
    from bfly.protocols.ready import Headers
    from bfly.queries.query import Query

__all__ = ["Answer", "answer", "group_of"]

DATABASE, DATASETS = "the database", "all channels of a dataset"
"""Groups of work (see `Admission`), besides one group per channel, named by its path."""


IMMUTABLE = (b"cache-control", b"public, max-age=31536000, immutable")
"""Header for states: the state of a name never changes, so browsers may keep it for a year."""


class Answer(NamedTuple):
    """Bytes, their content coding and their headers.

    Parameters
    ----------
    body : bytes or memoryview
        Flat, of bytes.
    coding : str
        Content coding that the body already has, or "".
    headers : sequence of (bytes, bytes)
        Headers of this answer; they replace those of every answer by name.
    """

    body: bytes | memoryview
    coding: str = ""
    headers: Headers = ()


class Kind(NamedTuple):
    """How one kind of query is answered.

    Parameters
    ----------
    answer : callable
        Takes the core, the query, and the content codings that the client accepts.
    group : str or None
        Group of the work; the query's path unless given.
    """

    answer: Callable[[Core, Any, Sequence[str]], Answer | Stream]
    group: str | None = None


def answer(core: Core, query: Query, codings: Sequence[str] = ()) -> Answer | Stream:
    """Answer a query of any kind.

    Parameters
    ----------
    core : Core
        Holds the channels and the database.
    query : Query
        The request.
    codings : sequence of str
        The content codings that the client accepts.

    Returns
    -------
    Answer or Stream
        Rows and large cutouts are made only while they are sent.
    """
    return _kind_of(query).answer(core, query, codings)


def group_of(query: Query) -> str:
    """Return the group of the work on a query; "" if it never has to wait."""
    group = _kind_of(query).group
    return query.path if group is None else group


def _kind_of(query: Query) -> Kind:
    return next(KINDS[base] for base in type(query).__mro__ if base in KINDS)


def _voxels(core: Core, query: DataQuery, codings: Sequence[str]) -> Answer | Stream:
    stored = core.get_stored(query, codings)
    query.volume.check_mip(query.resolution)
    if stored is not None:
        # A client that accepts stored chunks gains nothing from prefetched tiles.
        return Answer(*stored)
    if (stream := core.streams.streamed(query)) is not None:
        return stream
    core.admit(query)
    body = core.get_buffer(query)
    core.prefetcher.note(query.region)
    return Answer(body)


def _chunk_of_group(core: Core, query: GroupChunkQuery, _codings: Sequence[str]) -> Answer:
    query.update_source(core.update_query(query))
    core.admit(query)
    return Answer(b"".join(core.get_data(member) for member in query.members))


def _pieces(core: Core, query: PiecesQuery, _codings: Sequence[str]) -> Answer:
    query.update_source(core.update_query(query))
    core.admit(query)
    return Answer(query.answer(core.find_tiles))


def _rows(core: Core, query: RowsQuery, _codings: Sequence[str]) -> Stream:
    rows = partial(core.connectome.rows, query)
    return Stream(parts=lambda _start: rows(), media_type=query.mime_type, group=DATABASE)


def _ready(_core: Core, query: FinishedQuery, _codings: Sequence[str]) -> Answer:
    return Answer(query.body, headers=query.headers)


def _state(core: Core, query: StateQuery, _codings: Sequence[str]) -> Answer:
    return Answer(core.states.get(query.state_name), headers=[IMMUTABLE])


def _keep_state(core: Core, query: KeepStateQuery, _codings: Sequence[str]) -> Answer:
    return Answer(query.answer_text(core.states.keep(query.body)).encode())


def _labels(core: Core, query: LabelQuery, _codings: Sequence[str]) -> Answer:
    return Answer(core.labels.answer(query).encode())


def _dataset(core: Core, query: DatasetQuery, _codings: Sequence[str]) -> Answer:
    return Answer(core.get_dataset(query).encode())


def _stored_file(core: Core, query: StoredFileQuery, codings: Sequence[str]) -> Answer | Stream:
    passed = _passed_file(core, query, codings)
    if passed is None:
        raise Absent(
            f"There is no /{query.file} in a volume, only /info, /MIP/X-X_Y-Y_Z-Z, and the files "
            "of the meshes, skeletons, segment properties and annotations stored with it."
        )
    return passed


def _passed_file(
    core: Core, query: StoredFileQuery, codings: Sequence[str]
) -> Answer | Stream | None:
    query.update_source(core.update_query(query))
    passed = passed_file(query.volume, query.file, query.mime_type, codings, core.budget)
    return Answer(*passed) if isinstance(passed, tuple) else passed


def _mesh(core: Core, query: MeshQuery, codings: Sequence[str]) -> Answer | Stream:
    query.update_source(core.update_query(query))
    if "mesh" in offered_layers(query.volume):
        return _stored_file(core, query, codings)
    return Answer(core.meshes.answer(query))


def _annotations(core: Core, query: AnnotationQuery, codings: Sequence[str]) -> Answer | Stream:
    rows = "neurons" if query.part == "segment_properties" else "synapses"
    if not core.connectome.counts(query)[rows]:
        passed = _passed_file(core, query, codings)
        if passed is not None:
            return passed
    if query.part in ("info", "spatial"):
        query.update_source(core.update_query(query))
    with core.connectome.turn():
        return Answer(core.annotations.answer(query))


def _feature(core: Core, query: FeatureQuery, _codings: Sequence[str]) -> Answer:
    with core.connectome.turn():
        return Answer(query.answer_text(core.connectome.feature(query)).encode())


def _counts(core: Core, query: CountsQuery, _codings: Sequence[str]) -> Answer:
    return Answer(query.answer_text(core.connectome.counts(query)).encode())


def _segments(core: Core, query: SegmentsQuery, _codings: Sequence[str]) -> Answer:
    return Answer(core.segments.answer(query))


def _sparse_volume(core: Core, query: SparseVolumeQuery, _codings: Sequence[str]) -> Stream:
    parts = partial(core.segments.sparse_volume, query)
    return Stream(parts=lambda _start: parts(), media_type=query.mime_type, group=query.path)


def _info(core: Core, query: InfoQuery, _codings: Sequence[str]) -> Answer:
    text = core.get_info(query) if query.path else core.get_groups(query)
    return Answer(text.encode())


KINDS: dict[type[Query], Kind] = {
    DataQuery: Kind(_voxels),
    GroupChunkQuery: Kind(_chunk_of_group),
    PiecesQuery: Kind(_pieces),
    LabelQuery: Kind(_labels),
    InfoQuery: Kind(_info),
    DatasetQuery: Kind(_dataset, DATASETS),
    FinishedQuery: Kind(_ready, ""),
    AnnotationQuery: Kind(_annotations, DATABASE),
    StoredFileQuery: Kind(_stored_file),
    MeshQuery: Kind(_mesh),
    FeatureQuery: Kind(_feature, DATABASE),
    CountsQuery: Kind(_counts, DATABASE),
    RowsQuery: Kind(_rows, ""),
    SegmentsQuery: Kind(_segments),
    SparseVolumeQuery: Kind(_sparse_volume, ""),
    StateQuery: Kind(_state, ""),
    KeepStateQuery: Kind(_keep_state, ""),
}
"""Kind of each class of queries; the nearest base class counts. A new kind is one entry."""
