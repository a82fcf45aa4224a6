"""JSON schemas of the answers about edits."""

from __future__ import annotations

from typing import Any

__all__ = [
    "BRANCHES",
    "BRANCH_MERGE",
    "CONFLICTS",
    "DIFF",
    "LINE",
    "LINEAGE",
    "LOG",
    "OPERATION",
    "PREVIEW",
    "ROOTS",
    "Shape",
    "items",
    "record",
]

Shape = dict[str, Any]
"""A JSON schema."""


def record(**properties: Shape) -> Shape:
    """Return the schema of an object that always has these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def items(each: Shape) -> Shape:
    """Return the schema of a list."""
    return {"type": "array", "items": each}


NUMBER: Shape = {"type": "integer", "minimum": 0}
TEXT: Shape = {"type": "string"}
ID: Shape = {"type": "string", "pattern": "^[0-9]+$"}
"""Ids of segments, supervoxels and roots are text in answers."""

OPERATION = record(
    operation={"type": "integer", "minimum": 1},
    kind=TEXT,
    user=TEXT,
    time={"type": "string", "format": "date-time"},
    seen=NUMBER,
    segments=items(record(id=ID, root=ID)),
    count=NUMBER,
    replaced=items(ID),
    points=items({"type": "array", "items": {"type": "integer"}}),
    patch=items(record(old=ID, new=ID)),
    undoes=items(NUMBER),
    undone_by={"type": ["integer", "null"]},
)

LOG = record(last=NUMBER, operations=items(OPERATION))

ROOTS = record(operation=NUMBER, roots=items(record(supervoxel=ID, id=ID, root=ID)))

_LINK = record(operation=NUMBER, made=items(ID), replaced=items(ID))

LINEAGE = record(
    root=ID,
    is_latest={"type": "boolean"},
    past=items(_LINK),
    future=items(_LINK),
    count=NUMBER,
)

PREVIEW = record(
    operation=NUMBER,
    sources=items(ID),
    sinks=items(ID),
    area_um2={"type": "number", "minimum": 0},
    inside=items(record(supervoxel=ID, side={"enum": ["sources", "sinks"]}, voxels=NUMBER)),
)

_LINE: dict[str, Shape] = {
    "name": TEXT,
    "from": TEXT,
    "at": NUMBER,
    "user": TEXT,
    "time": {"type": "string", "format": "date-time"},
}
LINE = record(**_LINE)

BRANCHES = record(
    main=record(name=TEXT, last=NUMBER),
    branches=items(record(**_LINE, last=NUMBER)),
    snapshots=items(LINE),
)

_PLACE: Shape = {"type": ["array", "null"], "items": {"type": "integer"}}
_SIDE = items(record(id=ID, supervoxels=items(ID), count=NUMBER))
_DIFFERENCE: dict[str, Shape] = {
    **{"from": _SIDE, "to": _SIDE, "count": NUMBER},
    **{"low": _PLACE, "high": _PLACE},
}
DIFF = record(total=NUMBER, start=NUMBER, differences=items(record(**_DIFFERENCE)))

CONFLICTS = record(
    operations=NUMBER,
    conflicts=items(
        record(
            reason=TEXT,
            supervoxels=items(ID),
            theirs=OPERATION,
            ours=items(OPERATION),
            choices=items({"enum": ["ours", "theirs"]}),
        )
    ),
    count=NUMBER,
)

BRANCH_MERGE = record(
    operations=items(NUMBER), left_out=items(NUMBER), segments=items(record(id=ID, root=ID))
)
