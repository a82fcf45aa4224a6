"""One call of a graphene client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.core.graphene.logs import Logs, numbers_of, oldest
from bfly.errors import Absent, BadRequest
from bfly.validation import real_number, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.core.graphene.answers import GrapheneAnswers
    from bfly.core.graphene.changes import Changes
    from bfly.queries.graphene import GrapheneQuery

    Ids = NDArray[np.uint64]

__all__ = ["Call"]

MOST = 100_000
"""Ids of a request as JSON."""


class Call:
    """One request; its methods are named as the calls, and raise as `GrapheneAnswers.answer`.

    Parameters
    ----------
    query : GrapheneQuery
        The request, its source set.
    answers : GrapheneAnswers
        Has the channel.
    """

    def __init__(self, query: GrapheneQuery, answers: GrapheneAnswers) -> None:
        self._query, self._answers = query, answers
        self._graph = answers.graph(query)
        self._logs = Logs(self._graph)

    def root(self) -> dict[str, Any]:
        """Return the root of a supervoxel, or of another root."""
        roots = self._roots(np.array([self._query.node], np.uint64))
        if not roots[0]:
            raise Absent(f"There is no supervoxel or root {self._query.node}.")
        return {"root_id": int(roots[0])}

    def roots_binary(self) -> bytes:
        """Return the root of each of many ids, all as uint64."""
        body = self._query.body
        if len(body) % 8:
            raise BadRequest("The body is not ids of 8 bytes each.")
        roots: bytes = self._roots(np.frombuffer(body, "<u8")).astype("<u8").tobytes()
        return roots

    def _roots(self, ids: Ids) -> Ids:
        if self._query.asked.get("stop_layer") == "1":
            return ids
        return self._graph.roots(ids, self._graph.state_at(self._time("timestamp")))

    def leaves(self) -> dict[str, Any]:
        """Return the supervoxels of a root."""
        return {"leaf_ids": self._leaves(self._query.node)}

    def _leaves(self, node: int) -> list[int]:
        if self._query.asked.get("stop_layer") == "2":
            return [node]
        leaves: list[int] = self._graph.ids.tagged(self._graph.supervoxels(node)).tolist()
        return leaves

    def leaves_many(self) -> dict[str, Any]:
        """Return the supervoxels of each of several roots."""
        many = {str(node): self._leaves(node) for node in self._ids("node_ids")}
        if self._query.asked.get("int64_as_str"):
            return {node: list(map(str, leaves)) for node, leaves in many.items()}
        return many

    def children(self) -> dict[str, Any]:
        """Return the supervoxels of a root, and none of a supervoxel."""
        is_root = self._graph.ids.is_root(self._query.node)
        return {"children_ids": self._leaves(self._query.node) if is_root else []}

    def is_latest_roots(self) -> dict[str, Any]:
        """Return whether each root is there, now or at a time."""
        position = self._graph.position_at(self._time("timestamp"))
        nodes = self._ids("node_ids")
        return {"is_latest": [self._graph.is_latest(node, position) for node in nodes]}

    def root_timestamps(self) -> dict[str, Any]:
        """Return when each root was made, or with ``latest`` until when it was there."""
        graph, nodes = self._graph, self._ids("node_ids")
        if self._query.asked.get("latest") not in ("1", "true", "True"):
            return {"timestamp": [graph.time_of(graph.made_by(node)) for node in nodes]}
        now = self._time("timestamp")
        ends = [graph.replaced_by(node) for node in nodes]
        return {"timestamp": [graph.time_of(end) if end else now for end in ends]}

    def lineage_graph(self) -> dict[str, Any]:
        """Return the roots that led to some, and those that followed."""
        return self._logs.lineage(self._ids("root_ids"), self._past(), self._future())

    def change_log(self) -> dict[str, Any]:
        """Return how often a root was merged and split."""
        return self._logs.changes(self._query.node)

    def merge_log(self) -> dict[str, Any]:
        """Return what the merges of a root joined."""
        return self._logs.merges(self._query.node)

    def tabular_change_logs(self) -> dict[str, Any]:
        """Return the operations that led to each root, as tables."""
        return {str(root): self._logs.table(root) for root in self._ids("root_ids")}

    def operation_details(self) -> dict[str, Any]:
        """Return what operations did."""
        return self._logs.details(numbers_of(self._query.asked.get("operation_ids")))

    def user_operations(self) -> dict[str, Any]:
        """Return the operations of a user."""
        user = self._query.asked.get("user_id", "")
        return self._logs.of_user(user, self._time("start_time") or 0.0, self._time("end_time"))

    def past_ids(self) -> dict[str, Any]:
        """Return the roots of another time with supervoxels of some roots."""
        return self._logs.past_ids(self._ids("root_ids"), self._past(), self._future())

    def delta_roots(self) -> dict[str, Any]:
        """Return the roots that differ between two times."""
        return self._logs.between(self._past() or 0.0, self._future())

    def oldest_timestamp(self) -> dict[str, Any]:
        """Return when the history begins."""
        return oldest(self._graph)

    def valid_nodes(self) -> dict[str, Any]:
        """Return those of some ids that exist."""
        graph = self._graph
        end = graph.position_at(self._time("end_timestamp"))
        return {"valid_roots": [node for node in self._ids("node_ids") if self._exists(node, end)]}

    def _exists(self, node: int, end: int) -> bool:
        try:
            return not self._graph.ids.is_root(node) or self._graph.made_by(node) <= end
        except Absent:
            return False

    def minimal_covering_nodes(self) -> bytes:
        """Return ids as they are: only the root is above a supervoxel."""
        return np.array(self._ids("node_ids"), "<u8").tobytes()

    def subgraph(self) -> dict[str, Any]:
        """Return where the supervoxels of a root touch."""
        return self._answers.subgraph(self._query, self._graph)

    def contact_sites(self) -> dict[str, Any]:
        """Return where a root touches others."""
        return self._answers.contact_sites(self._query, self._graph)

    def find_path(self) -> dict[str, Any]:
        """Return the way between two points of a root."""
        return self._answers.find_path(self._query, self._graph)

    def level2_graph(self) -> dict[str, Any]:
        """Return no edges: there is no layer between supervoxels and roots."""
        return {"edge_graph": []}

    def remeshing(self) -> dict[str, Any]:
        """Return nothing: meshes are made on request."""
        return {}

    def merge(self) -> dict[str, Any]:
        """Join two segments."""
        return self._changes().merge(self._query.body)

    def split(self) -> dict[str, Any]:
        """Part a segment."""
        return self._changes().split(self._query.body)

    def split_preview(self) -> dict[str, Any]:
        """Return what a split would do."""
        return self._changes().preview(self._query.body)

    def undo(self) -> dict[str, Any]:
        """Take back an operation."""
        return self._changes().undo(self._query.body)

    def redo(self) -> dict[str, Any]:
        """Do an operation again."""
        return self._changes().undo(self._query.body, again=True)

    def _changes(self) -> Changes:
        return self._answers.changes(self._query, self._graph)

    def manifest(self) -> dict[str, Any]:
        """Return the names of the fragments of a root's mesh."""
        return self._answers.manifest(self._query, self._graph)

    def fragment(self) -> bytes:
        """Return a fragment of a mesh."""
        return self._answers.fragment(self._query, self._graph)

    def _ids(self, name: str) -> list[int]:
        body = self._query.body
        given = body.get(name) if isinstance(body, dict) else None
        if not isinstance(given, list) or len(given) > MOST:
            raise BadRequest(f"{name} is not a list of up to {MOST} ids.")
        return [whole_number(name, each, 0, 2**64 - 1) for each in given]

    def _time(self, name: str) -> float | None:
        given = self._query.asked.get(name)
        if given in (None, "", "None"):
            return None
        try:
            return real_number(name, float(given))
        except ValueError:
            raise BadRequest(f"The {name} {given} is not seconds since 1970.") from None

    def _past(self) -> float | None:
        return self._time("timestamp_past")

    def _future(self) -> float | None:
        return self._time("timestamp_future")
