"""Graphene: segmentations that people correct in Neuroglancer, CloudVolume and CAVEclient.

``/segmentation/table/TABLE/info`` describes a channel. Calls are at
``/segmentation/api/v1/table/TABLE/…`` and ``/meshing/api/v1/table/TABLE/…``, voxels and fragments
of meshes at ``/segmentation/data/TABLE/…``, and the description of a dataset for CAVEclient at
``/info/api/v2/datastack/full/TABLE``. There is no specification: the paths are those that the
released clients ask for.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent, BadRequest
from bfly.protocols.graphene_calls import Call, found_call
from bfly.protocols.graphene_volume import GrapheneChunkQuery, GrapheneVolumeQuery
from bfly.protocols.precomputed import chunk_query
from bfly.protocols.protocol import Protocol, channel_words, words_beside
from bfly.protocols.ready import FinishedQuery
from bfly.queries.graphene import GrapheneQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.queries.data import DataQuery
    from bfly.queries.info import InfoQuery

__all__ = ["Graphene"]

VERSION = "3.1.7"
"""The version of CAVE's PyChunkedGraph whose calls these are: CAVEclient asks for it."""

MESH_INFO = {
    "@type": "neuroglancer_legacy_mesh",
    "mip": 0,
    "chunk_size": [1, 1, 1],
    # Clients look for parts that were made in advance there; there are none.
    "sharding": {
        "2": {
            "@type": "neuroglancer_uint64_sharded_v1",
            "hash": "identity",
            "preshift_bits": 0,
            "minishard_bits": 0,
            "shard_bits": 0,
            "minishard_index_encoding": "raw",
            "data_encoding": "raw",
        }
    },
}

_CALL = re.compile(r"api/(?:v1|1\.0)/table/([^/]+)/(.+)")
_FRAGMENT = re.compile(r"mesh/dynamic/((\d{1,20}):.+)")


class Graphene(Protocol):
    """``/segmentation``, ``/meshing``, and ``/info/api`` for CAVEclient."""

    prefixes: ClassVar[tuple[str, ...]] = ("segmentation", "meshing", "info/api")
    needs_address: ClassVar[bool] = True
    largest_body: ClassVar[int] = 8 << 20
    errors_are_json: ClassVar[bool] = True

    @override
    def methods(self, path: str) -> tuple[str, ...]:
        found = self._call(path)
        return ("POST",) if found and found[1].posts else ("GET", "HEAD")

    @override
    def takes_body(self, path: str) -> bool:
        found = self._call(path)
        return found is not None and found[1].has_body and not found[1].posts

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        if found := self._call(path):
            return self._asks(*found, parameters, parameters.get("body", ""))
        match path.split("/", 2):
            case ["api", "versions"]:
                return _finished([0, 1])
            case ["api", "version"]:
                return _finished(VERSION)
            case ["table" | "1.0", table, "info"]:
                return self._info(table, parameters)
            case ["data", table, file]:
                return self._data(table, file)
        if found_stack := re.fullmatch(r"api/v2/datastack/full/([^/]+)", path):
            return self._stack(found_stack[1], parameters.get("address", ""))
        if path == "api/v2/datastacks":
            tables = self.config.graphene_tables
            return _finished(sorted(tables.of(names) for names in self.config.channels))
        raise Absent(f"There is no {path} of graphene.")

    @override
    def post(
        self, path: str, body: bytes, address: str, parameters: Mapping[str, str]
    ) -> InfoQuery:
        found = self._call(path)
        assert found is not None
        return self._asks(*found, parameters, body)

    @staticmethod
    def _call(path: str) -> tuple[str, Call, int] | None:
        """Return the table, the call and the id of a path; None if it is no call."""
        if (parts := _CALL.fullmatch(path)) and (found := found_call(parts[2].rstrip("/"))):
            return parts[1], *found
        return None

    def _asks(
        self, table: str, call: Call, node: int, asked: Mapping[str, str], body: str | bytes
    ) -> GrapheneQuery:
        parsed: Any = body
        if call.has_body and call.name != "roots_binary":
            try:
                parsed = json.loads(body or "null")
            except (ValueError, RecursionError) as error:
                raise BadRequest(f"The body is not JSON: {error}.") from None
        return self._query(table, call.name, node=node, asked=asked, body=parsed)

    def _query(self, table: str, call: str, **more: Any) -> GrapheneQuery:
        names = self.config.graphene_tables.names(table)
        channel = self.config.find(*names)
        beside = words_beside(channel, self.config.dataset(*names[:3]))
        words = {**channel_words(channel), "name": channel.name, "labelled": (channel.path,)}
        return GrapheneQuery(**words, call=call, table=table, beside=beside, **more)

    def _words(self, table: str) -> dict[str, Any]:
        return channel_words(self.config.find(*self.config.graphene_tables.names(table)))

    def _info(self, table: str, parameters: Mapping[str, str]) -> GrapheneVolumeQuery:
        query = GrapheneVolumeQuery(name=table, **self._words(table))
        query.table, query.address = table, parameters.get("address", "")
        query.edits = "/".join(self.config.graphene_tables.names(table))
        return query

    def _data(self, table: str, file: str) -> DataQuery | InfoQuery:
        if file == "mesh/info":
            return _finished(MESH_INFO)
        if fragment := _FRAGMENT.fullmatch(file):
            return self._query(table, "fragment", node=int(fragment[2]), asked={}, body=fragment[1])
        words = {**self._words(table), "format": GrapheneChunkQuery.encoding}
        query = chunk_query(GrapheneChunkQuery, file, words)
        query.labels = "patched"
        return query

    def _stack(self, table: str, address: str) -> InfoQuery:
        names = self.config.graphene_tables.names(table)
        return _finished(
            {
                "aligned_volume": {"name": "/".join(names[:3]), "id": 1},
                "local_server": address,
                "segmentation_source": f"graphene://{address}/segmentation/table/{table}",
                "synapse_table": None,
                "soma_table": None,
                "viewer_site": None,
            },
            lasting=False,
        )


def _finished(answer: Any, lasting: bool = True) -> FinishedQuery:
    return FinishedQuery(json.dumps(answer).encode(), "application/json", lasting=lasting)
