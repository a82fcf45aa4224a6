"""Allowed values of a query's parameters: how they are read, and their schemas for OpenAPI."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Allowed", "Many", "OneOf", "Text", "Whole", "one_of", "real_number", "whole_number"]


class Allowed(ABC):
    """Allowed values of a parameter."""

    meaning: str
    """Description of the parameter, for users."""

    @property
    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """JSON schema of the values that `read` accepts."""

    @abstractmethod
    def read(self, name: str, value: Any) -> Any:
        """Read a value that a client sent.

        Raises
        ------
        BadRequest
            The value is not allowed; the message names the parameter and what is allowed.
        """


_WHOLE = re.compile(r"[+-]?[0-9]{1,400}")
"""A whole number as text, with up to 400 digits: the largest float has 309."""


@dataclass(frozen=True)
class Whole(Allowed):
    """A whole number from `lowest` to `highest`, both allowed."""

    lowest: int
    highest: int
    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of an integer with its bounds."""
        return {"type": "integer", "minimum": self.lowest, "maximum": self.highest}

    @override
    def read(self, name: str, value: Any) -> int:
        """Read the number; text may have a sign."""
        return whole_number(name, value, self.lowest, self.highest)


@dataclass(frozen=True)
class OneOf(Allowed):
    """One of a list of words; `words` returns the list, and is called when needed."""

    words: Callable[[], Iterable[str]]
    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a string that is one of them."""
        return {"type": "string", "enum": list(self.words())}

    @override
    def read(self, name: str, value: Any) -> str:
        """Return the word if it is one of them."""
        return one_of(name, value, self.words())


@dataclass(frozen=True)
class Text(Allowed):
    """Any text of up to `longest` characters."""

    longest: int
    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a string."""
        return {"type": "string", "maxLength": self.longest}

    @override
    def read(self, name: str, value: Any) -> str:
        """Return the text if it is not too long."""
        text = str(value)
        if len(text) > self.longest:
            raise BadRequest(f"The {name} has {len(text)} characters; allowed are {self.longest}.")
        return text


@dataclass(frozen=True)
class Many(Allowed):
    """From one to `most` values with commas between them."""

    each: Allowed
    most: int
    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of an array."""
        return {"type": "array", "items": self.each.schema, "minItems": 1, "maxItems": self.most}

    @override
    def read(self, name: str, value: Any) -> list[Any]:
        """Read each value; duplicates are dropped."""
        return list(dict.fromkeys(self.read_all(name, value)))

    def read_all(self, name: str, value: Any) -> list[Any]:
        """Read each value, with duplicates."""
        values = str(value).split(",")
        if len(values) > self.most:
            raise BadRequest(f"There are {len(values)} {name}; allowed are 1 to {self.most}.")
        return [self.each.read(name, value) for value in values]


def whole_number(name: str, value: Any, lowest: int | None = None, highest: int = 2**63 - 1) -> int:
    """Read a whole number that a client sent.

    Parameters
    ----------
    name : str
        The parameter's name, for the message.
    value : int or str
        The value as sent; text may have a sign.
    lowest, highest : int
        The bounds, both allowed; `lowest` is ``-highest`` unless given.

    Raises
    ------
    BadRequest
        The value is not a whole number, or it is out of bounds.
    """
    lowest = -highest if lowest is None else lowest
    try:
        # Python's int would also accept underscores and the digits of other scripts.
        if isinstance(value, str) and not _WHOLE.fullmatch(value.strip()):
            raise ValueError
        number = int(value)
        if isinstance(value, bool) or (isinstance(value, float) and number != value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        shown = value if len(str(value)) <= 100 else f"{str(value)[:100]}…"
        raise BadRequest(f"The {name} {shown} is not an integer.") from None
    if not lowest <= number <= highest:
        raise BadRequest(f"The {name} {number} is not from {lowest} to {highest}.")
    return number


def one_of(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Return a word if it is in a list of allowed words.

    Raises
    ------
    BadRequest
        It is not. The documented message is ``The view foo is not in ['grayscale', …].``
    """
    words = list(allowed)
    if value not in words:
        raise BadRequest(f"The {name} {value} is not in {words}.")
    return str(value)


def real_number(name: str, value: Any) -> float:
    """Read a finite number that a client sent in JSON.

    Raises
    ------
    BadRequest
        It is no number, or above 2^53 in either direction.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 2**53:
        raise BadRequest(f"The {name} {value} is not a number from -2^53 to 2^53.")
    return float(value)
