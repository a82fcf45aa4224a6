"""From a protocol's query of any kind to an answer, kept where it lasts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from bfly.concurrency.admission import current
from bfly.cutouts.streamed import Stream
from bfly.protocols.ready import FinishedQuery
from bfly.queries.annotation import AnnotationQuery
from bfly.queries.data import DataQuery
from bfly.queries.dataset import DatasetQuery
from bfly.queries.feature import FeatureQuery, RowsQuery
from bfly.queries.label import LabelQuery
from bfly.queries.overview import CountsQuery
from bfly.queries.query import LABELS, Query
from bfly.server.response import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.core.core import Core
    from bfly.edits.state import EditState
    from bfly.protocols.protocol import Protocol
    from bfly.protocols.ready import Headers
    from bfly.queries.info import InfoQuery
    from bfly.volumes.volume import Volume

__all__ = ["Handler"]

DATABASE, DATASETS = "the database", "all channels of a dataset"
"""Groups of work (see `Admission`) besides the channels, which are named by their paths."""


class Handler:
    """Makes answers; it may wait for a disk or take long.

    Parameters
    ----------
    core : Core
        Answers the queries.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(
        self,
        key: str,
        protocol: Protocol,
        path: str,
        query_string: str,
        accept: str,
        codings: Sequence[str],
    ) -> Response | Stream:
        """Answer what is read from an address.

        Parameters
        ----------
        key : str
            Under which the answer is kept.
        protocol : Protocol
            Reads the address.
        path, query_string : str
            As `Protocol.query` takes the path, and what stands behind it.
        accept : str
            The media type that is preferred among those the protocol offers, or "".
        codings : sequence of str
            The content codings that the client takes.

        Returns
        -------
        Response or Stream
            Rows and large cutouts are made only while they are sent.
        """
        core = self._core
        parameters = dict(parse_qsl(query_string, keep_blank_values=True))
        query = protocol.query(path, parameters | {"accept": accept} if accept else parameters)
        query.labels = LABELS.read("labels", parameters.get("labels", query.labels))
        if isinstance(query, RowsQuery):
            rows = partial(core.connectome.rows, query)
            return Stream(parts=lambda _start: rows(), media_type=query.mime_type, group=DATABASE)
        self._join(query)
        known: Response | None = core.recall(key) or None
        if known and query.path:
            now = core.update_query(query)
            if _are_same(known.basis, (now["volume"], now.get("state"))):
                return known
        body: bytes | memoryview
        if isinstance(query, LabelQuery) or not isinstance(query, DataQuery):
            body, coding = self._facts(query), ""
        else:
            made = self._voxels(query, codings)
            if isinstance(made, Stream):
                return made
            body, coding = made
        volume, state = query.known_volume, query.state
        answer = Response.make(
            body,
            query.mime_type,
            codings=codings,
            vary=["accept"] if protocol.offers else (),
            extra=_headers_of(query),
            coding=coding,
            edited=state is not None and state.position > 0,
            basis=(volume, state),
            is_fresh=partial(_is_fresh, volume, state),
        )
        ticket, kept = current(), query.lasting and core.remember(key, answer)
        if ticket is not None and ticket.grant is not None:
            ticket.grant.shrink(0 if kept else answer.nbytes)
            answer.grant = ticket.grant
        return answer

    def _voxels(
        self, query: DataQuery, codings: Sequence[str]
    ) -> tuple[bytes | memoryview, str] | Stream:
        """Return voxels and their content coding, as stored if that is the answer."""
        core = self._core
        stored = core.get_stored(query, codings)
        query.volume.check_mip(query.resolution)
        if stored is not None:
            # A client that takes chunks as they are stored gains nothing from decoded tiles.
            return stored
        if (streamed := core.streams.streamed(query)) is not None:
            return streamed
        core.admit(query)
        body = core.get_data(query)
        core.prefetcher.note(query)
        return body, ""

    def _join(self, query: DataQuery | InfoQuery) -> None:
        """Count this work to what it may have to wait for."""
        match query:
            case FinishedQuery():
                return
            case AnnotationQuery() | CountsQuery() | FeatureQuery():
                self._core.in_pool.join(DATABASE)
            case DatasetQuery():
                self._core.in_pool.join(DATASETS)
            case _ if query.path:
                self._core.in_pool.join(query.path)

    def post(
        self, protocol: Protocol, path: str, body: bytes, address: str, codings: Sequence[str]
    ) -> Response:
        """Answer what is posted; the arguments are those of `make` and of `Protocol.post`."""
        query = protocol.post(path, body, address)
        headers = [*_headers_of(query), (b"cache-control", b"no-store")]
        return Response.make(self._facts(query), query.mime_type, codings=codings, extra=headers)

    def _facts(self, query: LabelQuery | InfoQuery) -> bytes:
        """Return the answer to anything but a request for voxels."""
        core = self._core
        match query:
            case FinishedQuery():
                return query.body
            case LabelQuery():
                return core.label_stats.answer(query).encode()
            case DatasetQuery():
                return core.get_dataset(query).encode()
            case AnnotationQuery():
                return self._annotations(query)
            case FeatureQuery():
                with core.connectome.turn():
                    query.answer = core.connectome.feature(query)
                    return query.dump.encode()
            case CountsQuery():
                query.counts = core.connectome.counts(query)
                return query.dump.encode()
            case _ if query.path:
                return core.get_info(query).encode()
        return core.get_groups(query).encode()

    def _annotations(self, query: AnnotationQuery) -> bytes:
        if query.part in ("info", "spatial"):
            query.update_source(self._core.update_query(query))
        with self._core.connectome.turn():
            return self._core.annotations.answer(query)


def _headers_of(query: Query) -> Headers:
    return query.headers if isinstance(query, FinishedQuery) else ()


def _is_fresh(volume: Volume | None, state: EditState | None) -> bool:
    """Return, without a look at the disk, whether what an answer was made from is current."""
    return (state is None or state.current) and (volume is None or volume.is_fresh())


def _are_same(some: Sequence[object], others: Sequence[object]) -> bool:
    return all(one is other for one, other in zip(some, others, strict=True))
