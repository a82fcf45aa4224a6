"""The actions of ``/api/edits``, each declared once.

Routes, checks of requests, ``/openapi.json``, the forms of ``/try`` and the tests of the documented
examples all follow from `ACTIONS`. `bfly.core.proofreading` does what they ask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bfly.errors import BadRequest
from bfly.queries.edit_shapes import (
    BRANCH_MERGE,
    BRANCHES,
    CONFLICTS,
    DIFF,
    LINE,
    LINEAGE,
    LOG,
    OPERATION,
    PREVIEW,
    ROOTS,
)
from bfly.queries.edit_words import Id, Items, Line, Moment, Point, Series
from bfly.queries.line_words import Choices, StateWord
from bfly.queries.paint_words import Bits, Box, Label, Painted, Run
from bfly.validation import Whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.queries.edit_shapes import Shape
    from bfly.validation import Allowed

__all__ = ["ACTIONS", "MOST", "Action"]

MOST = 1000
"""Operations, ids or segments of an answer."""

MOST_ASKED = 10_000
"""Operations or ids of a request."""

MOST_POINTS = 1000
"""Points of a group."""

MOST_RUNS = 100_000
"""Runs of voxels that are painted."""


@dataclass(frozen=True)
class Action:
    """What can be asked of the edits of a channel, or of annotations, or be done to them.

    Parameters
    ----------
    method : {"GET", "POST"}
        GET takes its words from the address, POST from a JSON object, and may edit.
    summary : str
        What it does; its title in the documentation.
    words : mapping of str to Allowed
        What a request may say.
    answer : dict
        JSON schema of the answer.
    example : dict
        Words of a request, which ``docs/proofreading.md`` shows with its answer.
    needed : tuple of tuples of str
        The words that a request must have; of several tuples, those of exactly one.
    along : mapping of str to str
        Words that make sense only with another one.
    others : tuple of str
        Media types of an answer besides JSON.
    """

    method: Literal["GET", "POST"]
    summary: str
    words: Mapping[str, Allowed]
    answer: Shape
    example: Mapping[str, Any]
    needed: tuple[tuple[str, ...], ...] = ((),)
    along: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def read(self, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Check the words of a request, and return those that it has, read.

        Parameters
        ----------
        name : str
            The action's name, for messages.
        asked : mapping
            Words as a client sent them. One that is None counts as absent. Those that a GET does
            not know are left out: they are for others.

        Raises
        ------
        BadRequest
            A word is missing, unknown, or has a value that is not allowed.
        """
        given = {word: value for word, value in asked.items() if value is not None}
        unknown = sorted(given.keys() - self.words.keys()) if self.method == "POST" else []
        if unknown:
            allowed = ", ".join(self.words)
            raise BadRequest(f"{name} takes no {unknown[0][:100]}; allowed are {allowed}.")
        chosen = [words for words in self.needed if given.keys() & words]
        if len(chosen) > 1:
            said = ", or ".join(" and ".join(words) for words in chosen)
            raise BadRequest(f"{name} takes {said}, but not both.")
        for word, other in self.along.items():
            if word in given and other not in given:
                raise BadRequest(f"{word} is for {name} with {other} only.")
        wanted = dict.fromkeys((chosen or self.needed)[0]) | given
        known = {word: allowed for word, allowed in self.words.items() if word in wanted}
        return {word: allowed.read(word, wanted[word]) for word, allowed in known.items()}

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the words."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {
                word: {**allowed.schema, "description": allowed.meaning}
                for word, allowed in self.words.items()
            },
            "additionalProperties": False,
        }
        if len(self.needed) > 1:
            schema["oneOf"] = [{"required": list(words)} for words in self.needed]
        elif self.needed[0]:
            schema["required"] = list(self.needed[0])
        if self.along:
            schema["dependentRequired"] = {word: [other] for word, other in self.along.items()}
        return schema


_OPERATION = Whole(0, 2**32 - 1, "the last operation that the author has seen")
_OPERATIONS = Items(Whole(1, 2**32 - 1), MOST_ASKED, "whole numbers", "the operations")
_POINTS = "points [x, y, z], in voxels of mip 0"

_REQUEST: dict[str, Allowed] = {
    "user": Line("name of the author"),
    "key": Line("any text that is new for each request: the same one again changes nothing"),
    "seen": _OPERATION,
}
"""Words of all requests that edit; see `bfly.edits.repeats.Request`."""

_GROUPS: dict[str, Allowed] = {
    "sources": Items(Point(), MOST_POINTS, _POINTS, "points in one part, in voxels of mip 0"),
    "sinks": Items(Point(), MOST_POINTS, _POINTS, "points in the other part"),
}

_NAMED: dict[str, Allowed] = {
    "name": Line("its name: letters, digits, -, _ and ."),
    "at": StateWord("the operation or the time, by default the latest"),
    "user": Line("name of the author"),
}

_FROM = "a branch, a snapshot, an operation, a time, or main"

ACTIONS: dict[str, Action] = {
    "log": Action(
        "GET",
        "Operations, the latest first",
        {
            "count": Whole(1, MOST, "at most so many, 100 by default"),
            "before": Whole(1, 2**63 - 1, "only those before this operation"),
            "by": Line("only those of this user"),
            "since": Moment("only those since a time, in ISO 8601 or seconds since 1970"),
            "id": Id("only those of this segment or supervoxel"),
        },
        LOG,
        {"count": 2, "by": "Bo"},
    ),
    "operation": Action(
        "GET",
        "One operation",
        {"id": Whole(1, 2**63 - 1, "of the operation")},
        OPERATION,
        {"id": 4},
        (("id",),),
    ),
    "roots": Action(
        "GET",
        "The ids and root ids of the segments of supervoxels",
        {
            "ids": Series(Whole(0, 2**64 - 1), MOST, "of the supervoxels"),
            "at": Whole(0, 2**63 - 1, "after this operation, by default the last one"),
        },
        ROOTS,
        {"ids": "1,2,3"},
        (("ids",),),
    ),
    "lineage": Action(
        "GET",
        "The operations that led to a segment, and those that followed",
        {"root": Id("root id of the segment")},
        LINEAGE,
        {"root": 4294967297},
        (("root",),),
    ),
    "merge": Action(
        "POST",
        "Join segments",
        {
            "ids": Items(Id(), MOST_ASKED, "whole numbers", "segments or supervoxels"),
            "points": Items(Point(), MOST_POINTS, _POINTS, "points in the segments"),
            **_REQUEST,
        },
        OPERATION,
        {"ids": [1, 2], "user": "Ada"},
        (("ids",), ("points",)),
    ),
    "split": Action(
        "POST",
        "Part a segment",
        {
            **_GROUPS,
            "parts": Items(
                Items(Id(), MOST_ASKED, "whole numbers"),
                MOST_ASKED,
                "lists of supervoxels",
                "supervoxels of each part; the rest is a further part",
            ),
            **_REQUEST,
        },
        OPERATION,
        {"parts": [[2]], "user": "Bo"},
        (("sources", "sinks"), ("parts",)),
    ),
    "preview": Action(
        "POST",
        "The parts that a split would make, without an effect",
        _GROUPS,
        PREVIEW,
        {"sources": [[10, 8, 5], [70, 8, 5]], "sinks": [[10, 25, 5]]},
        (("sources", "sinks"),),
    ),
    "paint": Action(
        "POST",
        "Give voxels to a segment, a new one, or the background",
        {
            "box": Box("its first voxel and its end, in voxels of mip 0"),
            "id": Painted("what the voxels become: a segment, a supervoxel, 0, or new"),
            "runs": Items(Run(), MOST_RUNS, "pairs [first, length]", "voxels of the box"),
            "bits": Bits("voxels of the box, instead of runs; all of them by default"),
            "over": Items(Label(), MOST_ASKED, "ids", "what is painted over, by default all"),
            **_REQUEST,
        },
        OPERATION,
        {"box": [[10, 4, 4], [14, 8, 6]], "id": "new", "user": "Bo"},
        (("box", "id"),),
    ),
    "undo": Action(
        "POST",
        "Take back operations",
        {
            "operations": _OPERATIONS,
            "by": Line("all operations of this user"),
            "since": Moment("those since a time, in ISO 8601 or seconds since 1970"),
            **_REQUEST,
        },
        OPERATION,
        {"operations": [4], "user": "Ada"},
        (("operations",), ("by",)),
        {"since": "by"},
    ),
    "redo": Action(
        "POST",
        "Do again what was taken back",
        {"operations": _OPERATIONS, **_REQUEST},
        OPERATION,
        {"operations": [4], "user": "Bo"},
        (("operations",),),
    ),
    "branches": Action("GET", "The branches and snapshots", {}, BRANCHES, {}),
    "branch": Action(
        "POST", "Begin a branch", _NAMED, LINE, {"name": "try", "user": "Ada"}, (("name",),)
    ),
    "snapshot": Action(
        "POST", "Name a state", _NAMED, LINE, {"name": "v1", "at": 2, "user": "Ada"}, (("name",),)
    ),
    "diff": Action(
        "GET",
        "The segments in which two states differ",
        {
            "from": StateWord(_FROM),
            "to": StateWord("another one, by default that of the address"),
            "start": Whole(0, 2**31 - 1, "the first difference, 0 by default"),
            "count": Whole(1, MOST, "at most so many, 100 by default"),
        },
        DIFF,
        {"from": "main", "to": "try"},
        (("from",),),
    ),
    "conflicts": Action(
        "GET",
        "What merging a branch would do, and what stands against it",
        {"from": StateWord(_FROM)},
        CONFLICTS,
        {"from": "try"},
        (("from",),),
    ),
    "merge-branch": Action(
        "POST",
        "Do again what a branch did",
        {
            "from": StateWord(_FROM),
            "choices": Choices("what counts in a conflict, by the operation of the branch"),
            **{word: _REQUEST[word] for word in ("user", "key")},
        },
        BRANCH_MERGE,
        {"from": "try", "user": "Ada"},
        (("from",),),
    ),
}
"""What can be asked and done, by the last part of the address."""
