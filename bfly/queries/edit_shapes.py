"""JSON schemas of the answers about edits."""

from __future__ import annotations

from typing import Any

__all__ = ["LINEAGE", "LOG", "OPERATION", "PREVIEW", "ROOTS", "Shape", "items", "record"]

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
    operation=NUMBER, sources=items(ID), sinks=items(ID), area_um2={"type": "number", "minimum": 0}
)
