"""What CAVEclient asks about the past of roots: lineage, logs of changes, details of operations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import Absent, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bfly.core.graphene.graph import Graph
    from bfly.edits.operation import Operation

__all__ = ["Logs"]

MOST = 10_000
"""Operations of an answer."""

MILLISECONDS = 1000


class Logs:
    """The history of a channel as graphene clients read it.

    Parameters
    ----------
    graph : Graph
        The segments of the channel.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph, self._lineage = graph, graph.lineage

    def lineage(
        self, roots: Sequence[int], past: float | None, future: float | None
    ) -> dict[str, Any]:
        """Return a graph of roots, from old to new, in the node-link form of networkx.

        Parameters
        ----------
        roots : sequence of int
            Roots of any time.
        past, future : float, optional
            Only what was done between these times, in seconds since 1970.
        """
        graph = self._graph
        first = graph.position_at(past) if past is not None else 0
        last = graph.position_at(future)
        links: set[tuple[int, int]] = set()
        for root in roots:
            for operation in [*self.led(root), *self.later(root)]:
                if first < operation <= last:
                    links |= self._links(operation)
            if len(links) > MOST:
                raise TooLarge(f"The lineage has more than {MOST} links; ask between two times.")
        nodes = {node for link in links for node in link} | set(roots)
        return {
            "directed": True,
            "multigraph": False,
            "graph": {},
            "nodes": [self._node(node) for node in sorted(nodes)],
            "links": [{"source": old, "target": new} for old, new in sorted(links)],
        }

    def _node(self, root: int) -> dict[str, Any]:
        ended = self._graph.replaced_by(root)
        node: dict[str, Any] = {
            "id": root,
            "timestamp": self._graph.time_of(self._graph.made_by(root)),
        }
        return node | ({"operation_id": ended} if ended else {})

    def _links(self, operation: int) -> set[tuple[int, int]]:
        """Return pairs of a root that an operation replaced, and one that came of it."""
        graph = self._graph
        state = graph.state_of(graph.ids.of_number(self._lineage.made(operation)[0]))
        made = set(graph.made(operation))
        links = set()
        for old in graph.before(operation):
            roots = graph.ids.roots(state, graph.members(old)).tolist()
            links |= {(old, new) for new in roots if new in made}
        return links

    def led(self, root: int) -> list[int]:
        """Return the operations that led to a root, in ascending order."""
        self._graph.made_by(root)
        return self._lineage.operations_of([self._graph.ids.number(root)])

    def later(self, root: int) -> list[int]:
        """Return the operations that followed from a root, in ascending order."""
        number = self._graph.ids.number(root)
        if number:
            return self._lineage.later([number])
        if not (first := self._graph.replaced_by(root)):
            return []
        led = self._graph.history.first_number(self._graph.ids.label(root))
        return sorted({first, *self._lineage.later([led])})

    def changes(self, root: int) -> dict[str, Any]:
        """Return how often a root was merged and split, and by which users."""
        numbers = self.led(root)
        users: dict[str, dict[str, int]] = {}
        counts = {"n_mergers": 0, "n_splits": 0}
        past: set[int] = set()
        for operation in self._operations(numbers):
            kind = "n_mergers" if _is_merge(operation) else "n_splits"
            counts[kind] += 1
            user = users.setdefault(operation.who, {"n_mergers": 0, "n_splits": 0})
            user[kind] += 1
            past |= set(self._graph.before(operation.id))
        return {
            **counts,
            "user_info": users,
            "operations_ids": numbers,
            "past_ids": sorted(past - {root}),
        }

    def table(self, root: int) -> str:
        """Return the operations that led to a root as the JSON of a table of pandas."""
        rows = [self._row(operation) for operation in self._operations(self.led(root))]
        names = (
            *("operation_id", "timestamp", "user_id", "before_root_ids", "after_root_ids"),
            *("is_merge", "user_name", "user_affiliation"),
        )
        return _table({name: [row[name] for row in rows] for name in names})

    def _row(self, operation: Operation) -> dict[str, Any]:
        return {
            "operation_id": operation.id,
            "timestamp": round(operation.time * MILLISECONDS),
            "user_id": operation.who,
            "before_root_ids": self._graph.before(operation.id),
            "after_root_ids": self._graph.made(operation.id),
            "is_merge": _is_merge(operation),
            "user_name": operation.who,
            "user_affiliation": "",
        }

    def merges(self, root: int) -> dict[str, Any]:
        """Return the supervoxels and the places that the merges of a root joined."""
        merges = [each for each in self._operations(self.led(root)) if _is_merge(each)]
        return {
            "merge_edges": [self._pairs(each) for each in merges],
            "merge_edge_coords": [_places(each) for each in merges],
        }

    def details(self, numbers: Iterable[int]) -> dict[str, Any]:
        """Return what operations did, by their numbers."""
        return {str(each.id): self._detail(each) for each in self._operations(list(numbers))}

    def _detail(self, operation: Operation) -> dict[str, Any]:
        places = _places(operation)
        edges = "added_edges" if _is_merge(operation) else "removed_edges"
        undone = operation.undoes[-1] if operation.undoes else None
        ids = self._graph.ids.tagged(np.unique(operation.supervoxels)).tolist()
        return {
            "user": operation.who,
            "timestamp": _moment(operation.time),
            "roots": self._graph.made(operation.id),
            edges: self._pairs(operation),
            "source_coords": places[:1],
            "sink_coords": places[1:],
            "source_ids": ids[:1],
            "sink_ids": ids[1:],
            "bb_offset": [0, 0, 0],
            "undo_operation_id": undone,
            "redo_operation_id": None,
            "operation_status": 0,
        }

    def _pairs(self, operation: Operation) -> list[list[int]]:
        """Return the pairs of supervoxels that an operation joined, or parted."""
        tagged = self._graph.ids.tagged
        if not _is_merge(operation):
            ends = np.cumsum(operation.part_sizes, dtype=np.int64) - operation.part_sizes
            heads = operation.parts[ends]
            pairs = np.stack([heads, operation.rests], axis=1)
        else:
            ends = np.cumsum(operation.sizes, dtype=np.int64)[:-1]
            inner = np.ones(max(0, len(operation.supervoxels) - 1), bool)
            inner[ends[ends > 0] - 1] = False
            flat = operation.supervoxels
            pairs = np.stack([flat[:-1], flat[1:]], axis=1)[inner]
        return [tagged(pair).tolist() for pair in pairs[:MOST]]

    def of_user(self, user: str, start: float, end: float | None) -> dict[str, Any]:
        """Return the operations of a user between two times as the JSON of a table of pandas."""
        graph = self._graph
        numbers = range(graph.position_at(start) + 1, graph.position_at(end) + 1)
        found = [each for each in self._operations(numbers) if each.who == user]
        times = [round(each.time * MILLISECONDS) for each in found]
        columns = {"operation_id": [each.id for each in found], "timestamp": times}
        loaded: dict[str, Any] = json.loads(_table(columns))
        return loaded

    def between(self, past: float, future: float | None) -> dict[str, Any]:
        """Return the roots of one time that are not there at another, and the other way round."""
        graph = self._graph
        first, last = graph.position_at(past), graph.position_at(future)
        old: set[int] = set()
        new: set[int] = set()
        for operation in self._limited(range(first + 1, last + 1)):
            old |= {root for root in graph.before(operation) if graph.made_by(root) <= first}
            new |= {root for root in graph.made(operation) if graph.is_latest(root, last)}
        return {"old_roots": sorted(old), "new_roots": sorted(new)}

    def past_ids(
        self, roots: Sequence[int], past: float | None, future: float | None
    ) -> dict[str, Any]:
        """Return the roots from which others came, and those that came of them."""
        back: dict[str, list[int]] = {}
        forth: dict[str, list[int]] = {}
        graph = self._graph
        first = graph.state_at(past if past is not None else 0.0)
        last = graph.state_at(future)
        for root in roots:
            members = graph.members(root)
            before = np.unique(graph.ids.roots(first, members)).tolist()
            back[str(root)] = before
            for each in before:
                parts = graph.members(each)
                forth[str(each)] = np.unique(graph.ids.roots(last, parts)).tolist()
        return {"past_id_map": back, "future_id_map": forth}

    def _operations(self, numbers: Sequence[int]) -> list[Operation]:
        return self._graph.history.operations(self._limited(numbers))

    @staticmethod
    def _limited(numbers: Sequence[int]) -> Sequence[int]:
        if len(numbers) > MOST:
            raise TooLarge(f"There are {len(numbers)} operations; allowed are {MOST}.")
        return numbers


def oldest(graph: Graph) -> dict[str, str]:
    """Return the time of the first operation, which is the start of history."""
    last = graph.found.state.position
    return {"iso": _moment(graph.time_of(1) if last else 0.0)}


def numbers_of(text: str | None) -> list[int]:
    """Return the whole numbers of a JSON list; raises `Absent` if it is none."""
    try:
        return [int(each) for each in json.loads(text or "[]")]
    except (ValueError, TypeError):
        raise Absent(f"operation_ids {text} is not a list of operations.") from None


def _is_merge(operation: Operation) -> bool:
    return len(operation.parts) == 0


def _places(operation: Operation) -> list[list[int]]:
    """Return the places of an operation, x, y, z in voxels."""
    places: list[list[int]] = operation.points[:MOST, ::-1].tolist()
    return places


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ")


def _table(columns: dict[str, list[Any]]) -> str:
    """Return columns as pandas writes a table to JSON."""
    rows = {name: dict(enumerate(values)) for name, values in columns.items()}
    return json.dumps(rows)
