"""Allowed values of the words of a request to paint."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from bfly.errors import BadRequest
from bfly.geometry import BoundingBox, zyx
from bfly.validation import Allowed, whole_number

__all__ = ["LARGEST", "Bits", "Box", "Label", "Painted", "Run"]

LARGEST = 1 << 24
"""Voxels of the box, at most."""

NEW = "new"


@dataclass(frozen=True)
class Box(Allowed):
    """A box ``[[x, y, z], [x, y, z]]``, its first voxel and its end, at mip 0."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of two corners."""
        whole = {"type": "integer", "minimum": -(2**53), "maximum": 2**53}
        corner = {"type": "array", "items": whole, "minItems": 3, "maxItems": 3}
        return {"type": "array", "items": corner, "minItems": 2, "maxItems": 2}

    @override
    def read(self, name: str, value: Any) -> BoundingBox:
        """Return the box (z, y, x)."""
        corners = value if isinstance(value, list) and len(value) == 2 else []
        if not corners or not all(isinstance(each, list) and len(each) == 3 for each in corners):
            raise BadRequest(
                f"{name} is not [[x, y, z], [x, y, z]]: its first voxel and its end, at mip 0."
            )
        low, high = ([whole_number(name, one) for one in reversed(each)] for each in corners)
        box = BoundingBox(zyx(low), zyx(high))
        if not 0 < box.size <= LARGEST:
            raise BadRequest(f"The box {value} has {box.size} voxels; allowed are 1 to {LARGEST}.")
        return box


@dataclass(frozen=True)
class Run(Allowed):
    """A run ``[first, length]`` of voxels of the box, counted along x, then y, then z."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of two numbers."""
        number = {"type": "integer", "minimum": 0, "maximum": LARGEST}
        return {"type": "array", "items": number, "minItems": 2, "maxItems": 2}

    @override
    def read(self, name: str, value: Any) -> list[int]:
        """Return the numbers."""
        if not isinstance(value, list) or len(value) != 2:
            raise BadRequest(f"{name} is not a list of pairs [first, length].")
        return [whole_number(name, one, 0, LARGEST) for one in value]


@dataclass(frozen=True)
class Bits(Allowed):
    """A bit for each voxel of the box, in base64; the lowest bit of a byte first."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a string."""
        return {"type": "string", "contentEncoding": "base64", "maxLength": LARGEST // 6 + 4}

    @override
    def read(self, name: str, value: Any) -> bytes:
        """Return the bytes."""
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise BadRequest(f"{name} is not base64.") from None


@dataclass(frozen=True)
class Label(Allowed):
    """A segment or a supervoxel, or 0, the background; as a number or as text."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a whole number, or of text with one."""
        bounds = {"minimum": 0, "maximum": 2**64 - 1, "pattern": "^[0-9]{1,20}$"}
        return {"type": ["integer", "string"], **bounds}

    @override
    def read(self, name: str, value: Any) -> int:
        """Return the number."""
        return whole_number(name, value, 0, 2**64 - 1)


@dataclass(frozen=True)
class Painted(Label):
    """As `Label`, or ``new``."""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a whole number, text with one, or ``new``."""
        return {**super().schema, "pattern": f"^([0-9]{{1,20}}|{NEW})$"}

    @override
    def read(self, name: str, value: Any) -> Any:
        """Return the number; None for ``new``."""
        return None if value == NEW else super().read(name, value)
