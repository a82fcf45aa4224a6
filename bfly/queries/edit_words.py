"""Allowed values of words about edits: lists, points, times, past states and short texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from typing_extensions import override

from bfly.errors import BadRequest
from bfly.validation import Allowed, Many, real_number, whole_number

__all__ = ["Id", "Items", "Line", "Moment", "Past", "Point", "Series"]

LONGEST = 200
"""Characters of a line."""

LATEST = 2**32 - 1
"""Highest number of an operation."""

_DIGITS = re.compile(r"[0-9]{1,20}")

_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]*)?")


@dataclass(frozen=True)
class Id(Allowed):
    """An id of a segment, a supervoxel or a root, as a number or as text."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a whole number, or of text with one."""
        bounds = {"minimum": 1, "maximum": 2**64 - 1, "pattern": "^[0-9]{1,20}$"}
        return {"type": ["integer", "string"], **bounds}

    @override
    def read(self, name: str, value: Any) -> int:
        """Return the number."""
        return whole_number(name, value, 1, 2**64 - 1)


@dataclass(frozen=True)
class Items(Allowed):
    """A JSON list of 1 to `most` values; `noun` names them in messages."""

    each: Allowed
    most: int
    noun: str
    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of an array."""
        return {"type": "array", "items": self.each.schema, "minItems": 1, "maxItems": self.most}

    @override
    def read(self, name: str, value: Any) -> list[Any]:
        """Read each value."""
        if not isinstance(value, list) or not 0 < len(value) <= self.most:
            raise BadRequest(f"{name} is not a list of 1 to {self.most} {self.noun}.")
        return [self.each.read(name, each) for each in value]


@dataclass(frozen=True)
class Series(Many):
    """From one to `most` values with commas between them: an answer has a row for each."""

    @override
    def read(self, name: str, value: Any) -> list[Any]:
        """Read each value, with duplicates."""
        return self.read_all(name, value)


@dataclass(frozen=True)
class Point(Allowed):
    """A point ``[x, y, z]`` in voxels of mip 0."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of three numbers."""
        number = {"type": "number", "minimum": -(2**53), "maximum": 2**53}
        return {"type": "array", "items": number, "minItems": 3, "maxItems": 3}

    @override
    def read(self, name: str, value: Any) -> list[float]:
        """Return the numbers, x first."""
        if not isinstance(value, list) or len(value) != 3:
            raise BadRequest(f"The point {value} of {name} is not [x, y, z], in voxels of mip 0.")
        return [real_number(name, each) for each in value]


@dataclass(frozen=True)
class Line(Allowed):
    """A text of up to 200 printable characters."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a string."""
        return {"type": "string", "maxLength": LONGEST}

    @override
    def read(self, name: str, value: Any) -> str:
        """Return the text."""
        if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
            raise BadRequest(f"The {name} is not text of up to {LONGEST} printable characters.")
        return value


@dataclass(frozen=True)
class Moment(Allowed):
    """A time: seconds since 1970, or ISO 8601, local time unless it states an offset."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a number or a string."""
        return {"type": ["number", "string"], "maxLength": LONGEST}

    @override
    def read(self, name: str, value: Any) -> float:
        """Return seconds since 1970."""
        text = str(value)[:LONGEST]
        try:
            seconds = _SECONDS.fullmatch(text)
            return float(text) if seconds else datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError):
            raise BadRequest(f"{name} {text} is not a time such as 2026-11-28T12:00:00Z.") from None


@dataclass(frozen=True)
class Past(Allowed):
    """A past state: the number of an operation, or a time in ISO 8601."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a string."""
        return {"type": "string", "maxLength": LONGEST}

    @override
    def read(self, name: str, value: Any) -> int | float | None:
        """Return an operation, or seconds since 1970 as a float; None, the latest, for ""."""
        if value is None or value == "":
            return None
        if isinstance(value, int) or _DIGITS.fullmatch(str(value)):
            return whole_number(name, value, 0, LATEST)
        return Moment().read(name, value)
