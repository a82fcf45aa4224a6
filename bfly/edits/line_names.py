"""Names of lines of operations, and of states: what stands behind the ``@`` of an address."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import NamedTuple

from bfly.errors import BadRequest

__all__ = ["FORMS", "MAIN", "StateName", "checked_name"]

MAIN = "main"
"""Name of the channel itself."""

RESERVED = (MAIN, "latest", "now", "all")

FORMS = "a branch, a snapshot, the number of an operation, or a time such as 2026-11-28T12:00"

LONGEST = 64

_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?")
_WHOLE = re.compile("[0-9]{1,18}")


def checked_name(name: object) -> str:
    """Return a name if a branch or a snapshot may have it.

    Raises
    ------
    BadRequest
        It may not; the message says what is allowed.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise BadRequest(
            f"The name {name} is not made of 1 to {LONGEST} letters, digits, -, _ and ., the first "
            "one a letter or a digit."
        )
    if name.isdecimal() or _TIME.fullmatch(name):
        raise BadRequest(f"The name {name} looks like an operation or a time: add a letter.")
    if name.lower() in RESERVED:
        raise BadRequest(f"The name {name} is reserved, as are {', '.join(RESERVED)}.")
    return name


class StateName(NamedTuple):
    """What stands behind the ``@`` of an address, such as ``try``, ``42`` or ``try@42``.

    Parameters
    ----------
    line : str
        Name of a branch or of a snapshot; "" for the channel itself.
    operation : int, optional
        The last operation of the state.
    moment : float, optional
        Its time, in seconds since 1970.
    """

    line: str = ""
    operation: int | None = None
    moment: float | None = None

    @classmethod
    def parse(cls, text: str) -> StateName:
        """Parse a name.

        Raises
        ------
        BadRequest
            It is none, or a time that is not over yet.
        """
        first, mark, rest = text.partition("@")
        if mark:
            line, state = cls.parse(first), cls.parse(rest)
            if line[1:] == (None, None) and not state.line and rest != MAIN:
                return state._replace(line=line.line)
        elif _WHOLE.fullmatch(text):
            return cls(operation=int(text))
        elif _TIME.fullmatch(text):
            return cls(moment=_moment(text))
        elif text == MAIN:
            return cls()
        elif _NAME.fullmatch(text):
            return cls(text)
        raise BadRequest(f"{text[:100]} behind the @ of a channel is not {FORMS}.")


def _moment(text: str) -> float:
    # The plus of a time zone is a blank in the query of an address.
    day, clock = text[:10], text[11:].replace(" ", "+")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}")
    except ValueError:
        raise BadRequest(f"{text[:100]} is not a time such as 2026-11-28T12:00.") from None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if seconds > time.time():
        raise BadRequest(f"The time {text} (UTC) is not over yet.")
    return seconds
