"""Answers about branches, snapshots and past states: their list, differences, and merging."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.core.edit_history import EditHistory
from bfly.edits.branch_merge import OURS, THEIRS, BranchMerge
from bfly.edits.described import described
from bfly.edits.diff import Difference, differences
from bfly.edits.line_names import MAIN
from bfly.edits.repeats import Request
from bfly.errors import BadRequest, Conflict
from bfly.queries.edit_actions import MOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bfly.core.root_ids import RootIds
    from bfly.core.segment_answers import SegmentAnswers
    from bfly.edits.channel_lines import Found
    from bfly.edits.contradictions import Contradiction
    from bfly.edits.edits import Edits
    from bfly.edits.lines import Line
    from bfly.edits.operation import Operation
    from bfly.edits.patch import Fresh
    from bfly.queries.edits import EditsQuery

    Ids = NDArray[np.uint64]

__all__ = ["LineAnswers"]


class LineAnswers:
    """Answers requests of `ACTIONS`.

    Parameters
    ----------
    edits : Edits
        Edits of all channels.
    segments : SegmentAnswers
        Has the label indexes.
    roots : RootIds
        The root ids of the line that is asked.
    fresh : int
        An id that no supervoxel has, and that voxels can hold.
    ids : callable
        Returns ids for new supervoxels of the line that is asked.
    """

    ACTIONS = ("branches", "branch", "snapshot", "diff", "conflicts", "merge-branch")
    """What is about several lines of edits, or names a state."""

    def __init__(
        self,
        edits: Edits,
        segments: SegmentAnswers,
        roots: RootIds,
        fresh: int,
        ids: Callable[[], Fresh],
    ) -> None:
        self._edits, self._segments, self._roots = edits, segments, roots
        self._fresh, self._ids = fresh, ids

    def answer(self, query: EditsQuery, found: Found) -> dict[str, Any]:
        """Return the answer; all ids in it are text.

        Parameters
        ----------
        query : EditsQuery
            Its source is set.
        found : Found
            The state that its address names.

        Raises
        ------
        BadRequest, Absent, Conflict, DatabaseError, SourceError
            As `Proofreading.answer`.
        """
        answers = {
            "branches": self._branches,
            "branch": self._named,
            "snapshot": self._named,
            "diff": self._diff,
            "conflicts": self._conflicts,
            "merge-branch": self._merge,
        }
        return answers[query.action](query, found)

    def _other(self, query: EditsQuery, name: str) -> Found:
        """Return the state that a parameter names, such as ``main`` or ``try@42``."""
        return self._edits.found(query.path, query.asked[name])

    def _branches(self, query: EditsQuery, _: Found) -> dict[str, Any]:
        lines = self._edits.lines(query.path)
        rows: dict[str, list[dict[str, Any]]] = {"branches": [], "snapshots": []}
        for line in lines.all():
            row = _told(line)
            if line.kind == "branch":
                row["last"] = lines.branch(line.name).state.position
            rows["branches" if line.kind == "branch" else "snapshots"].append(row)
        main = self._edits.channel(query.path).state.position
        return {"main": {"name": MAIN, "last": main}, **rows}

    def _named(self, query: EditsQuery, found: Found) -> dict[str, Any]:
        """Name a state: that of the address, or the operation or time ``at`` of its line."""
        request = Request.parse(query.action, query.asked)
        line, at = query.line, query.asked.get("at")
        if at is not None:
            if found.frozen:
                raise BadRequest(f"This is {found.frozen}: it has no other states, so no at.")
            line = f"{line or MAIN}@{at}"
        elif not found.frozen:
            # The latest state is named by its operation: others may edit meanwhile.
            line = f"{line or MAIN}@{found.state.position}"
        lines = self._edits.lines(query.path)
        return _told(lines.add(query.action, query.asked.get("name"), line, request.user))

    def _diff(self, query: EditsQuery, found: Found) -> dict[str, Any]:
        """Return ``count`` differences of the states ``from`` and ``to`` from ``start`` on."""
        asked = query.asked
        start, count = asked.get("start", 0), asked.get("count", 100)
        one = self._other(query, "from")
        other = self._other(query, "to") if asked.get("to") else found
        all_of_them = differences(one, other)
        page = all_of_them[start : start + count]
        boxes = self._boxes(query, page)
        rows = [_difference(each) | box for each, box in zip(page, boxes, strict=True)]
        return {"total": len(all_of_them), "start": start, "differences": rows}

    def _boxes(self, query: EditsQuery, page: list[Difference]) -> list[dict[str, Any]]:
        """Return the box of each difference, if the label index is there."""
        segments = self._segments.indexed(query.volume, None)
        if segments is None or not page:
            return [{"low": None, "high": None} for _ in page]
        lists = [np.union1d(each.supervoxels, each.others) for each in page]
        groups = np.repeat(np.arange(len(page), dtype=np.uint64), list(map(len, lists)))
        members = np.concatenate(lists)
        rows = segments.index.of_groups(members, groups)
        origin = np.array(query.volume.level(0).origin)
        boxes: list[dict[str, Any]] = [{"low": None, "high": None} for _ in page]
        for row in rows:
            corners = {name: (row[name] + origin)[::-1].tolist() for name in ("low", "high")}
            boxes[int(row["label"])] = corners
        return boxes

    def _conflicts(self, query: EditsQuery, found: Found) -> dict[str, Any]:
        source = self._other(query, "from")
        merge = BranchMerge(source, found, self._fresh, {}, self._ids)
        return {
            "operations": len(merge.operations),
            "conflicts": [
                self._contradiction(each, source, found) for each in merge.contradictions[:MOST]
            ],
            "count": len(merge.contradictions),
        }

    def _contradiction(
        self, contradiction: Contradiction, source: Found, target: Found
    ) -> dict[str, Any]:
        theirs = source.edits.history.operations([contradiction.operation.id])
        ours = target.edits.history.operations(contradiction.others)
        return {
            "reason": contradiction.reason,
            "supervoxels": list(map(str, contradiction.supervoxels)),
            "theirs": self._history(source).told(theirs[0]),
            "ours": [self._history(target).told(each) for each in ours],
            "choices": [OURS, THEIRS] if contradiction.can_win else [OURS],
        }

    def _history(self, found: Found) -> EditHistory:
        roots = self._roots.of_line(found.edits.ranges)
        return EditHistory(found.edits, roots, found.state)

    def _merge(self, query: EditsQuery, found: Found) -> dict[str, Any]:
        request = Request.parse(query.action, query.asked)
        source, target = self._other(query, "from"), found.writable
        choices = query.asked.get("choices", {})
        # The operations have the names of their authors in the branch.
        key = f"merge-branch {request.user} {request.key}"
        result: list[Operation] = []
        left_out: list[int] = []

        def operations(state: Any) -> list[Operation]:
            if request.is_keyed and (earlier := target.history.all_keyed(key)):
                result.extend(earlier)
                return []
            now = found._replace(state=state)
            merge = BranchMerge(source, now, self._fresh, choices, self._ids)
            _refuse(merge, query.asked["from"])
            left_out.extend(merge.left_out)
            result.extend(replace(each, key=key) for each in merge.operations)
            return result

        target.append(operations)
        history = self._history(found._replace(state=target.state))
        return {
            "operations": [each.id for each in result],
            "left_out": left_out,
            "segments": [row for each in result for row in history.told(each)["segments"]][:MOST],
        }


def _refuse(merge: BranchMerge, name: Any) -> None:
    """Raise an error if a merge has contradictions without a choice, or nothing to do."""
    if merge.contradictions:
        told = "; ".join(
            f"{described([each.operation])} of {name} against {', '.join(map(str, each.others))}: "
            f"{each.reason}"
            for each in merge.contradictions[:10]
        )
        first = merge.contradictions[0]
        allowed = f'"{OURS}" or "{THEIRS}"' if first.can_win else f'"{OURS}"'
        raise Conflict(
            f"{len(merge.contradictions)} operations of {name} stand against later ones here: "
            f"{told} GET conflicts?from={name} has all of them. Send choices, such as "
            f'{{"{first.operation.id}": {allowed}}}.'
        )
    if not merge.operations:
        raise BadRequest(f"Nothing of {name} is left to be done here.")


def _told(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "from": line.origin or MAIN,
        "at": line.at,
        "user": line.who,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(line.time)),
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "from": _segments(difference.supervoxels, difference.before),
        "to": _segments(difference.others, difference.after),
        "count": len(difference.supervoxels),
    }


def _segments(supervoxels: Ids, names: Ids) -> list[dict[str, Any]]:
    found = []
    for name in np.unique(names[names > 0])[:MOST].tolist():
        own = supervoxels[names == name]
        listed = list(map(str, own[:MOST].tolist()))
        found.append({"id": str(name), "supervoxels": listed, "count": len(own)})
    return found
