"""Allowed values of words about annotations: geometries, texts, tags and boxes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from bfly.annotations.annotation import TYPES
from bfly.errors import BadRequest
from bfly.validation import Allowed, one_of, real_number, whole_number

__all__ = ["Changed", "Drawn", "Flag", "Number", "Region"]

FARTHEST = 2**31
"""Largest coordinate in either direction, in voxels."""

LONGEST = 10_000
"""Characters of a text."""

LONGEST_TAG = 200
"""Characters of a tag."""

MOST_TAGS = 50
"""Tags of an annotation."""

SEPARATOR = ";"
"""Between tags in CSV; hence in no tag."""

_COORDINATE = {"type": "number", "minimum": -FARTHEST, "maximum": FARTHEST}
_POINTS = {
    "type": "array",
    "items": {"type": "array", "items": _COORDINATE, "minItems": 3, "maxItems": 3},
    "minItems": 1,
    "maxItems": 2,
}
_SAID = {
    "points": _POINTS,
    "text": {"type": "string", "maxLength": LONGEST},
    "tags": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_TAG},
        "maxItems": MOST_TAGS,
    },
    "done": {"type": "boolean"},
}


@dataclass(frozen=True)
class Drawn(Allowed):
    """A new annotation: a JSON object with ``type``, ``points``, ``text``, ``tags``, ``done``."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of an object."""
        return {
            "type": "object",
            "properties": {"type": {"type": "string", "enum": list(TYPES)}, **_SAID},
            "required": ["type", "points"],
            "additionalProperties": False,
        }

    @override
    def read(self, name: str, value: Any) -> dict[str, Any]:
        """Return it with points zyx."""
        said = _object(name, value, ("type", *_SAID))
        for word in ("type", "points"):
            if word not in said:
                raise BadRequest(f"{word} is missing in one of the {name}.")
        said["type"] = one_of("type", said["type"], TYPES)
        wanted = TYPES[said["type"]]
        if len(said["points"]) != wanted:
            raise BadRequest(f"A {said['type']} has {wanted} points, not {len(said['points'])}.")
        return said


@dataclass(frozen=True)
class Changed(Allowed):
    """A changed annotation: a JSON object with its ``id`` and what it gets."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of an object."""
        return {
            "type": "object",
            "properties": {"id": Number().schema, **_SAID},
            "required": ["id"],
            "additionalProperties": False,
        }

    @override
    def read(self, name: str, value: Any) -> dict[str, Any]:
        """Return it with points zyx."""
        said = _object(name, value, ("id", *_SAID))
        return {**said, "id": Number().read("id", said.get("id"))}


@dataclass(frozen=True)
class Number(Allowed):
    """The id of an annotation, or a revision."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a whole number."""
        return {"type": "integer", "minimum": 0, "maximum": 2**53}

    @override
    def read(self, name: str, value: Any) -> int:
        """Return the number."""
        return whole_number(name, value, 0, 2**53)


@dataclass(frozen=True)
class Flag(Allowed):
    """``true`` or ``false``."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of two words."""
        return {"type": "string", "enum": ["true", "false"]}

    @override
    def read(self, name: str, value: Any) -> bool:
        """Return it as a bool."""
        return one_of(name, value, ("true", "false")) == "true"


@dataclass(frozen=True)
class Region(Allowed):
    """A box ``x,y,z,x,y,z``: its lowest corner and its end, in voxels of mip 0."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of six numbers."""
        return {"type": "array", "items": _COORDINATE, "minItems": 6, "maxItems": 6}

    @override
    def read(self, name: str, value: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the two corners, zyx."""
        parts = str(value).split(",")
        if len(parts) != 6:
            raise BadRequest(f"The {name} is not x,y,z,x,y,z: its lowest corner and its end.")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            raise BadRequest(f"The {name} {str(value)[:100]} is not six numbers.") from None
        x0, y0, z0, x1, y1, z1 = (_coordinate(name, each) for each in numbers)
        return (z0, y0, x0), (z1, y1, x1)


def _object(name: str, value: Any, words: tuple[str, ...]) -> dict[str, Any]:
    """Return the words of a JSON object, checked, without those that are null."""
    if not isinstance(value, dict):
        raise BadRequest(f"One of the {name} is not an object with {', '.join(words)}.")
    said = {word: each for word, each in value.items() if each is not None}
    for word in said:
        if word not in words:
            raise BadRequest(f"One of the {name} has {word[:100]}; allowed are {', '.join(words)}.")
    readers = {"points": _points, "text": _text, "tags": _tags, "done": _done}
    return {word: readers[word](each) if word in readers else each for word, each in said.items()}


def _points(value: Any) -> list[tuple[float, ...]]:
    if not isinstance(value, list) or not 0 < len(value) <= 2:
        raise BadRequest("points is not a list of one or two points [x, y, z].")
    for point in value:
        if not isinstance(point, list) or len(point) != 3:
            raise BadRequest(f"The point {str(point)[:100]} is not [x, y, z], in voxels of mip 0.")
    return [tuple(_coordinate("points", each) for each in point[::-1]) for point in value]


def _coordinate(name: str, value: Any) -> float:
    number = real_number(name, value)
    if abs(number) > FARTHEST:
        raise BadRequest(f"The coordinate {number:g} of {name} is not from -2^31 to 2^31.")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not all(map(_is_plain, value)):
        raise BadRequest(
            f"A text is up to {LONGEST} characters: printable ones, line breaks and tabs."
        )
    return value


def _tags(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_TAGS:
        raise BadRequest(f"tags is not a list of up to {MOST_TAGS} texts.")
    for tag in value:
        is_text = isinstance(tag, str) and 0 < len(tag) <= LONGEST_TAG and tag.isprintable()
        if not is_text or SEPARATOR in tag or tag != tag.strip():
            raise BadRequest(
                f"A tag is a text of 1 to {LONGEST_TAG} printable characters without "
                f"{SEPARATOR} or outer spaces, unlike {str(tag)[:100]!r}."
            )
    return list(dict.fromkeys(value))


def _done(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadRequest("done is neither true nor false.")
    return value


def _is_plain(character: str) -> bool:
    """Return whether a database can keep a character, and a viewer can show it."""
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
