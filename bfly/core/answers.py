"""Dispatch: one table from kinds of queries to the functions that answer them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bfly.core import segment_kinds
from bfly.core.kinds import DATABASE, DATASETS, Answer, Kind
from bfly.cutouts.streamed import Stream
from bfly.protocols.graphene_volume import GrapheneChunkQuery, GrapheneVolumeQuery
from bfly.protocols.precomputed import GroupChunkQuery
from bfly.protocols.ready import FinishedQuery
from bfly.queries.annotation import AnnotationQuery
from bfly.queries.data import DataQuery
from bfly.queries.dataset import DatasetQuery
from bfly.queries.drawn import CollectionQuery, DrawnQuery
from bfly.queries.edits import EditsQuery
from bfly.queries.feature import FeatureQuery, RowsQuery
from bfly.queries.graphene import GrapheneQuery
from bfly.queries.info import InfoQuery
from bfly.queries.label import LabelQuery
from bfly.queries.overview import CountsQuery
from bfly.queries.pieces import PiecesQuery
from bfly.queries.skeleton import NodesQuery
from bfly.queries.viewer_state import KeepStateQuery, StateQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.core.core import Core
    from bfly.queries.query import Query

__all__ = ["answer", "group_of"]


IMMUTABLE = (b"cache-control", b"public, max-age=31536000, immutable")
"""Header for states: the state of a name never changes, so browsers may keep it for a year."""


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
    return Answer(body, shown=core.shown(query))


def _chunk_of_group(core: Core, query: GroupChunkQuery, _codings: Sequence[str]) -> Answer:
    query.update_source(core.update_query(query))
    core.admit(query)
    return Answer(b"".join(core.get_data(member) for member in query.members))


def _pieces(core: Core, query: PiecesQuery, _codings: Sequence[str]) -> Answer:
    query.update_source(core.update_query(query))
    core.admit(query)
    return Answer(query.answer(core.find_tiles))


def _rows(core: Core, query: RowsQuery, _codings: Sequence[str]) -> Stream:
    more = core.skeletons.nodes(query) if isinstance(query, NodesQuery) else None
    rows = partial(core.connectome.rows, query, more)
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


def _annotations(core: Core, query: AnnotationQuery, codings: Sequence[str]) -> Answer | Stream:
    is_properties = query.part == "segment_properties"
    has_rows = core.connectome.counts(query)["neurons" if is_properties else "synapses"] > 0
    if not has_rows:
        passed = segment_kinds.passed(core, query, codings)
        if passed is not None:
            return passed
    if query.part in ("info", "spatial"):
        query.update_source(core.update_query(query))
    if is_properties:
        return Answer(core.properties.answer(query))
    with core.connectome.turn():
        return Answer(core.annotations.answer(query))


def _drawn(core: Core, query: DrawnQuery, _codings: Sequence[str]) -> Answer | Stream:
    return core.drawn.answer(query)


def _collection(core: Core, query: CollectionQuery, _codings: Sequence[str]) -> Answer:
    return Answer(core.drawn_collections.answer(query), headers=[segment_kinds.NO_CACHE])


def _feature(core: Core, query: FeatureQuery, _codings: Sequence[str]) -> Answer:
    with core.connectome.turn():
        return Answer(query.answer_text(core.connectome.feature(query)).encode())


def _counts(core: Core, query: CountsQuery, _codings: Sequence[str]) -> Answer:
    return Answer(query.answer_text(core.connectome.counts(query)).encode())


def _edits(core: Core, query: EditsQuery, _codings: Sequence[str]) -> Answer:
    return Answer(core.proofreading.answer(query), headers=[segment_kinds.NO_CACHE])


def _graphene(core: Core, query: GrapheneQuery, _codings: Sequence[str]) -> Answer:
    headers = [] if query.call == "fragment" else [segment_kinds.NO_CACHE]
    return Answer(core.graphene.answer(query), headers=headers)


def _graphene_chunk(
    core: Core, query: GrapheneChunkQuery, codings: Sequence[str]
) -> Answer | Stream:
    query.update_source(core.update_query(query))
    query.tag = core.graphene.ids(query.volume).supervoxel
    return _voxels(core, query, codings)


def _graphene_volume(core: Core, query: GrapheneVolumeQuery, codings: Sequence[str]) -> Answer:
    query.update_source(core.update_query(query))
    query.bits = core.graphene.ids(query.volume).bits
    return _info(core, query, codings)


def _info(core: Core, query: InfoQuery, _codings: Sequence[str]) -> Answer:
    text = core.get_info(query) if query.path else core.get_groups(query)
    return Answer(text.encode())


KINDS: dict[type[Query], Kind] = {
    **segment_kinds.KINDS,
    DataQuery: Kind(_voxels),
    GroupChunkQuery: Kind(_chunk_of_group),
    PiecesQuery: Kind(_pieces),
    LabelQuery: Kind(_labels),
    InfoQuery: Kind(_info),
    DatasetQuery: Kind(_dataset, DATASETS),
    FinishedQuery: Kind(_ready, ""),
    AnnotationQuery: Kind(_annotations, DATABASE),
    DrawnQuery: Kind(_drawn, DATABASE),
    CollectionQuery: Kind(_collection, DATABASE),
    FeatureQuery: Kind(_feature, DATABASE),
    CountsQuery: Kind(_counts, DATABASE),
    RowsQuery: Kind(_rows, ""),
    NodesQuery: Kind(_rows),
    EditsQuery: Kind(_edits),
    GrapheneQuery: Kind(_graphene),
    GrapheneChunkQuery: Kind(_graphene_chunk),
    GrapheneVolumeQuery: Kind(_graphene_volume),
    StateQuery: Kind(_state, ""),
    KeepStateQuery: Kind(_keep_state, ""),
}
"""Kind of each class of queries; the nearest base class counts. A new kind is one entry."""
