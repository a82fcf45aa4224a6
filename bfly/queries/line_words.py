"""Allowed values of words about branches: names of states, and choices in conflicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from bfly.edits.branch_merge import OURS, THEIRS
from bfly.errors import BadRequest
from bfly.validation import Allowed, whole_number

__all__ = ["Choices", "StateWord"]

LONGEST = 200
"""Characters of the name of a state."""

MOST = 10_000
"""Choices of a request."""


@dataclass(frozen=True)
class StateWord(Allowed):
    """The name of a state: a branch, a snapshot, an operation or a time."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of a string or a whole number."""
        return {"type": ["string", "integer"], "maxLength": LONGEST, "minimum": 0}

    @override
    def read(self, name: str, value: Any) -> str:
        """Return it as text; `bfly.edits.line_names` knows what it means."""
        is_one = isinstance(value, str | int) and not isinstance(value, bool)
        if not is_one or not 0 < len(str(value)) <= LONGEST:
            raise BadRequest(f"The {name} is not a branch, a snapshot, an operation or a time.")
        return str(value)


@dataclass(frozen=True)
class Choices(Allowed):
    """A JSON object: an operation of a branch → ``ours`` or ``theirs``."""

    meaning: str = ""

    @property
    @override
    def schema(self) -> dict[str, Any]:
        """JSON schema of an object."""
        return {
            "type": "object",
            "additionalProperties": {"enum": [OURS, THEIRS]},
            "maxProperties": MOST,
        }

    @override
    def read(self, name: str, value: Any) -> dict[int, str]:
        """Return the choice of each operation."""
        is_one = isinstance(value, dict) and len(value) <= MOST
        if not is_one or not all(each in (OURS, THEIRS) for each in value.values()):
            allowed = f'an object of up to {MOST} operations, each with "{OURS}" or "{THEIRS}"'
            raise BadRequest(f"The {name} are not {allowed}.")
        return {whole_number(name, each, 1, 2**32 - 1): choice for each, choice in value.items()}
