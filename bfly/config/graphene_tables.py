"""Names of channels for graphene clients: tables, of letters, digits, ``_``, ``.`` and ``-``.

CloudVolume cuts off a name at any other character. The name of a channel is its address with ``.``
between the names, from the first name on with which it is the only one. Longer ones mean it too, so
that a name in a saved state stays right when there are more channels.

A branch, a snapshot or a past state is a table, too: ``TABLE.NAME``, ``TABLE.op17`` for the state
after an operation, and ``TABLE.t1796000000`` for that at a time in seconds since 1970.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bfly.config.addresses import ends, lines_in
from bfly.errors import Absent, BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bfly.config.addresses import Names

__all__ = ["GrapheneTables"]

LISTED = 20
"""Names that a message lists."""

_OTHER = re.compile(r"[^A-Za-z0-9_.-]")


class GrapheneTables:
    """The tables of all channels.

    Parameters
    ----------
    channels : iterable of tuple of str
        Names of experiment, sample, dataset and channel of each.
    """

    def __init__(self, channels: Iterable[Names]) -> None:
        self._channels = list(channels)
        self._known: dict[str, list[Names]] = defaultdict(list)
        for names in self._channels:
            for table in _tables(names):
                if names not in self._known[table]:
                    self._known[table].append(names)

    def of(self, names: Names) -> str:
        """Return the table of a channel."""
        return next(table for table in _tables(names) if self._known[table] == [names])

    def table(self, names: Names) -> str | None:
        """Return the table of a channel, or of a branch or snapshot of one; None of others."""
        if names in self._channels:
            return self.of(names)
        for channel, line in lines_in(names[3]):
            above = (*names[:3], channel)
            if above in self._channels and _OTHER.search(line) is None:
                return f"{self.of(above)}.{f'op{line}' if line.isdecimal() else line}"
        return None

    def names(self, table: str) -> Names:
        """Return the names of the channel of a table; with ``@`` and a line if it is of one.

        Raises
        ------
        Absent
            There is no such table.
        BadRequest
            It may mean several channels.
        """
        found = self._known.get(table, [])
        parts = table.split(".")
        for count in range(len(parts) - 1, 0, -1):
            if found:
                break
            line = _line(".".join(parts[count:]))
            above = self._known.get(".".join(parts[:count]), [])
            found = [(*names[:3], f"{names[3]}@{line}") for names in above]
        if not found:
            raise Absent(
                f"There is no table {table}; there are {_listed(self._channels, self.of)}."
            )
        if len(found) > 1:
            raise BadRequest(f"{table} may mean {_listed(found, self.of)}: write one of them.")
        return found[0]


def _line(suffix: str) -> str:
    """Return what is behind the ``@`` of an address for the end of a table."""
    if operation := re.fullmatch(r"op(\d{1,10})", suffix):
        return operation[1]
    if moment := re.fullmatch(r"t(\d{1,11})", suffix):
        return datetime.fromtimestamp(int(moment[1]), UTC).isoformat()
    return suffix


def _tables(names: Names) -> Iterator[str]:
    """Yield all tables of a channel, the shortest first; the last one is of no other channel."""
    for end in ends(names):
        yield _OTHER.sub("_", ".".join(end))
    digest = hashlib.sha256("/".join(names).encode()).hexdigest()[:12]
    yield f"{_OTHER.sub('_', names[-1])}-{digest}"


def _listed(channels: Sequence[Names], table: Callable[[Names], str]) -> str:
    more = f" and {len(channels) - LISTED} more" if len(channels) > LISTED else ""
    return f"{', '.join(sorted(map(table, channels[:LISTED])))}{more}"
