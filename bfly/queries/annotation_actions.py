"""The actions of ``/api/annotations``, each declared once.

As for `bfly.queries.edit_actions`, all else follows from `ANNOTATION_ACTIONS`.
"""

from __future__ import annotations

from bfly.annotations.annotation import TYPES
from bfly.queries.annotation_words import Changed, Drawn, Flag, Number, Region
from bfly.queries.edit_actions import MOST, Action
from bfly.queries.edit_shapes import Shape, items, record
from bfly.queries.edit_words import Items, Line, Moment
from bfly.validation import Allowed, OneOf, Whole

__all__ = ["ANNOTATION_ACTIONS", "LIST_FORMATS"]

LIST_FORMATS = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
"""Formats of the list: a page of it as JSON, or all of it as CSV."""

_NUMBER: Shape = {"type": "integer", "minimum": 0}
_TEXT: Shape = {"type": "string"}
_TIME: Shape = {"type": "string", "format": "date-time"}
_RECORD: dict[str, Shape] = {
    "id": _NUMBER,
    "revision": _NUMBER,
    "type": {"enum": list(TYPES)},
    "points": items({"type": "array", "items": {"type": "number"}}),
    "text": _TEXT,
    "tags": items(_TEXT),
    "done": {"type": "boolean"},
    "user": _TEXT,
    "time": _TIME,
    "creator": _TEXT,
    "created": _TIME,
}
_RECORDS = items(record(**_RECORD))
_NEXT: Shape = {"type": ["integer", "null"]}

_DONE = record(last=_NUMBER, annotations=_RECORDS)
"""Answer of a change."""

_REQUEST: dict[str, Allowed] = {
    "user": Line("name of the author"),
    "key": Line("any text that is new for each request: the same one again changes nothing"),
}
_SEEN = Number("the last revision of the dataset that the author has seen")

ANNOTATION_ACTIONS: dict[str, Action] = {
    "list": Action(
        "GET",
        "Annotations of a dataset, by their ids",
        {
            "type": OneOf(lambda: TYPES, "only points, lines or boxes"),
            "box": Region("only those that touch x,y,z,x,y,z, a lowest corner and an end"),
            "tag": Line("only those with this tag"),
            "text": Line("only those whose text contains this, in either case"),
            "user": Line("only those that this user changed last"),
            "since": Moment("only those changed since a time, in ISO 8601 or seconds since 1970"),
            "done": Flag("only those that are done, or are not"),
            "after": Number("only those with higher ids"),
            "count": Whole(1, MOST, "at most so many as JSON, 100 by default"),
            "format": OneOf(lambda: LIST_FORMATS, "a page as JSON, or all as CSV"),
        },
        record(last=_NUMBER, total=_NUMBER, annotations=_RECORDS, next=_NEXT),
        {"tag": "merge error", "done": "false"},
        others=(LIST_FORMATS["csv"],),
    ),
    "history": Action(
        "GET",
        "The changes of an annotation, the first one first",
        {
            "id": Number("of the annotation"),
            "after": Number("only later revisions"),
            "count": Whole(1, MOST, "at most so many, 100 by default"),
        },
        record(changes=items(record(action=_TEXT, **_RECORD)), next=_NEXT),
        {"id": 1},
        (("id",),),
    ),
    "create": Action(
        "POST",
        "Create annotations",
        {
            "annotations": Items(
                Drawn(), MOST, "objects", "type, points, text, tags, done of each"
            ),
            **_REQUEST,
        },
        _DONE,
        {
            "annotations": [
                {
                    "type": "point",
                    "points": [[40.5, 8.5, 5.5]],
                    "text": "Two cells touch here",
                    "tags": ["merge error"],
                },
                {"type": "line", "points": [[10, 8, 5], [70, 8, 5]]},
                {"type": "box", "points": [[0, 0, 0], [20, 20, 10]], "tags": ["seen"]},
            ],
            "user": "Ada",
            "key": "a1",
        },
        (("annotations",),),
    ),
    "edit": Action(
        "POST",
        "Change annotations",
        {
            "annotations": Items(Changed(), MOST, "objects", "id of each, and what it gets"),
            **_REQUEST,
            "seen": _SEEN,
        },
        _DONE,
        {"annotations": [{"id": 1, "done": True}], "user": "Bo", "seen": 3},
        (("annotations",),),
    ),
    "delete": Action(
        "POST",
        "Delete annotations; their history stays",
        {"ids": Items(Number(), MOST, "ids", "of the annotations"), **_REQUEST, "seen": _SEEN},
        _DONE,
        {"ids": [2], "user": "Bo"},
        (("ids",),),
    ),
}
"""What can be asked and done, by the last part of the address."""
