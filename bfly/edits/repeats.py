"""Requests to edit: the author, what the author saw, and whether it is a repetition."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.described import described
from bfly.errors import BadRequest, Conflict
from bfly.validation import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bfly.edits.channel import ChannelEdits
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

__all__ = ["Request"]

LONGEST = 200
"""Characters of a name or a key."""


@dataclass(frozen=True)
class Request:
    """A request to edit.

    Parameters
    ----------
    user : str
        Name of the author; may be empty.
    key : str
        Name of the request; a digest of what it asks if the client gave none.
    is_keyed : bool
        Whether the client gave it.
    seen : int, optional
        The last operation that the author has seen.
    """

    user: str
    key: str
    is_keyed: bool
    seen: int | None

    @classmethod
    def parse(cls, action: str, asked: Mapping[str, Any]) -> Request:
        """Read ``user``, ``key`` and ``seen`` of a request.

        Raises
        ------
        BadRequest
            One has a value that is not allowed.
        """
        user, key = (_text(name, asked.get(name, "")) for name in ("user", "key"))
        seen = asked.get("seen")
        said = json.dumps([action, asked], sort_keys=True).encode()
        return cls(
            user,
            key or hashlib.sha256(said).hexdigest()[:32],
            bool(key),
            None if seen is None else whole_number("seen", seen, 0, 2**32 - 1),
        )

    @property
    def words(self) -> dict[str, Any]:
        """Fields of the operation."""
        seen = {} if self.seen is None else {"base": self.seen}
        return {"who": self.user, "key": self.key, **seen}

    def done(
        self, channel: ChannelEdits, plan: Callable[[EditState], Operation | None], most: int
    ) -> Operation:
        """Do what is asked, unless it was done already; return the operation.

        Without a key of its own, a request counts as made before if its operation is still the
        last one on the segments that it made.

        Parameters
        ----------
        channel : ChannelEdits
            The channel.
        plan : callable
            Returns the operation that follows a state; None if there is nothing to do.
        most : int
            The largest id that voxels can hold.

        Raises
        ------
        BadRequest
            There is nothing to do, or no id is left.
        Conflict
            Others have edited the segments since what the author saw.
        Absent, DatabaseError
            As what `plan` raises, and `ChannelEdits.append`.
        """
        result: list[Operation] = []

        def operations(state: EditState) -> list[Operation]:
            earlier = channel.history.keyed(self.user, self.key)
            if earlier and (self.is_keyed or channel.history.is_last(earlier)):
                result.extend(channel.history.operations([earlier]))
                return []
            operation = plan(state)
            if operation is None:
                raise BadRequest("These are one segment already: there is nothing to do.")
            self._check(channel, operation, most)
            result.append(operation)
            return [operation]

        channel.append(operations)
        return result[0]

    def _check(self, channel: ChannelEdits, operation: Operation, most: int) -> None:
        names = np.concatenate([operation.names, operation.part_names])
        if len(names) and names.max() > most:
            raise BadRequest(f"No id up to {most}, which voxels can hold, is free for a part.")
        if self.seen is None:
            return
        lineage = channel.history.lineage
        later = {lineage.made_by(number) for number in operation.before.tolist()}
        if since := sorted(number for number in later if number > self.seen):
            told = described(channel.history.operations(since))
            raise Conflict(f"The segments have changed since the operation {self.seen}: {told}.")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise BadRequest(f"The {name} is not text of up to {LONGEST} printable characters.")
    return value
