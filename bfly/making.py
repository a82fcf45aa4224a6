"""From a protocol's query of any kind to an answer, kept where it lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from bfly.answer import Answer
from bfly.queries.annotation import AnnotationQuery
from bfly.queries.data import DataQuery
from bfly.queries.dataset import DatasetQuery
from bfly.queries.feature import FeatureQuery, RowsQuery
from bfly.queries.finished import FinishedQuery
from bfly.queries.label import LabelQuery
from bfly.queries.overview import CountsQuery
from bfly.queries.query import LABELS
from bfly.streaming import Streamed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.core import Core
    from bfly.protocols.protocol import Protocol
    from bfly.queries.info import InfoQuery

__all__ = ["Maker"]


class Maker:
    """Makes answers; it may wait for a disk or take long.

    Parameters
    ----------
    core : Core
        Answers the queries.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def make(
        self,
        key: str,
        protocol: Protocol,
        path: str,
        query_string: str,
        accept: str,
        codings: Sequence[str],
    ) -> Answer | Streamed:
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
        Answer or Streamed
            Rows and large cutouts are made only while they are sent.
        """
        core = self._core
        parameters = dict(parse_qsl(query_string, keep_blank_values=True))
        query = protocol.query(path, parameters | {"accept": accept} if accept else parameters)
        query.labels = LABELS.read("labels", parameters.get("labels", query.labels))
        if isinstance(query, RowsQuery):
            return Streamed(lambda _start: core.connectome.rows(query), query.mime_type)
        known: Answer | None = core.recall(key) or None
        if known and query.path:
            now = core.update_query(query)
            if known.volume is now["volume"] and known.state is now.get("state"):
                return known
        stored = None
        if isinstance(query, DataQuery) and not isinstance(query, LabelQuery):
            stored = core.get_stored(query, codings)
            if stored is None and (streamed := core.slabs.streamed(query)):
                return streamed
        body, coding = stored or (self._body(query), "")
        answer = Answer.make(
            body,
            query.mime_type,
            query.known_volume,
            codings,
            ["accept"] if protocol.offers else (),
            query.headers,
            query.state,
            coding,
        )
        if query.lasting:
            core.remember(key, answer)
        # Who takes chunks as they are stored gains nothing from tiles that are decoded.
        if not stored and isinstance(query, DataQuery) and not isinstance(query, LabelQuery):
            core.ahead.note(query)
        return answer

    def take(
        self, protocol: Protocol, path: str, body: bytes, address: str, codings: Sequence[str]
    ) -> Answer:
        """Answer what is posted; the arguments are those of `make` and of `Protocol.post`."""
        query = protocol.post(path, body, address)
        headers = [*query.headers, (b"cache-control", b"no-store")]
        return Answer.make(self._body(query), query.mime_type, None, codings, extra=headers)

    def _body(self, query: DataQuery | InfoQuery) -> bytes | memoryview:
        core = self._core
        match query:
            case FinishedQuery():
                return query.body
            case LabelQuery():
                return core.findings.answer(query).encode()
            case DataQuery():
                return core.get_data(query)
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
