"""What a word of a query may be: how it is read, and how OpenAPI says so."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Allowed", "Many", "OneOf", "Whole", "one_of", "whole_number"]


class Allowed(ABC):
    """What a word may be."""

    meaning: str
    """What the word says, for people."""

    @property
    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the values that `read` takes."""

    @abstractmethod
    def read(self, name: str, value: Any) -> Any:
        """Read a value that came from outside.

        Raises
        ------
        BadRequest
            It is not allowed; the message names the word and says what is.
        """


_WHOLE = re.compile(r"[+-]?[0-9]{1,400}")
"""A whole number as text, with as many digits as the largest float has, and some more."""


@dataclass(frozen=True)
class Whole(Allowed):
    """A whole number from `lowest` to `highest`, both allowed."""

    lowest: int
    highest: int
    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """An integer with its bounds."""
        return {"type": "integer", "minimum": self.lowest, "maximum": self.highest}

    @override
    def read(self, name: str, value: Any) -> int:
        """Read the number; text may have a sign."""
        return whole_number(name, value, self.lowest, self.highest)


@dataclass(frozen=True)
class OneOf(Allowed):
    """One of some words, which `words` gives when they are needed."""

    words: Callable[[], Iterable[str]]
    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """A string that is one of them."""
        return {"type": "string", "enum": list(self.words())}

    @override
    def read(self, name: str, value: Any) -> str:
        """Take the word if it is one of them."""
        return one_of(name, value, self.words())


@dataclass(frozen=True)
class Many(Allowed):
    """From one to `most` values with commas between them."""

    each: Allowed
    most: int
    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """An array."""
        return {"type": "array", "items": self.each.schema, "minItems": 1, "maxItems": self.most}

    @override
    def read(self, name: str, value: Any) -> list[Any]:
        """Read each of them; who comes twice counts once."""
        values = str(value).split(",")
        if len(values) > self.most:
            raise BadRequest(f"There are {len(values)} {name}; allowed are 1 to {self.most}.")
        return list(dict.fromkeys(self.each.read(name, value) for value in values))


def whole_number(name: str, value: Any, lowest: int | None = None, highest: int = 2**63 - 1) -> int:
    """Read a whole number that came from outside.

    Parameters
    ----------
    name : str
        The parameter's name, for the message.
    value : int or str
        As it came; text may have a sign.
    lowest, highest : int
        The bounds, both allowed; `lowest` is ``-highest`` unless given.

    Raises
    ------
    BadRequest
        It is no whole number, or it is out of bounds.
    """
    lowest = -highest if lowest is None else lowest
    try:
        # Python would also take underscores and the digits of other scripts.
        if isinstance(value, str) and not _WHOLE.fullmatch(value.strip()):
            raise ValueError
        number = int(value)
        if isinstance(value, float) and number != value:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        shown = value if len(str(value)) <= 100 else f"{str(value)[:100]}…"
        raise BadRequest(f"The {name} {shown} is not a whole number.") from None
    if not lowest <= number <= highest:
        raise BadRequest(f"The {name} {number} is not from {lowest} to {highest}.")
    return number


def one_of(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Take a word that must be one of some.

    Raises
    ------
    BadRequest
        It is not; in the documented words: ``The view foo is not in ['grayscale', …].``
    """
    words = list(allowed)
    if value not in words:
        raise BadRequest(f"The {name} {value} is not in {words}.")
    return str(value)
