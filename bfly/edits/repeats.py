"""Requests to edit: the author, what the author saw, and whether it is a repetition."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.described import described
from bfly.errors import BadRequest, Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bfly.edits.channel import ChannelEdits
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["Request"]


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
        """Return the ``user``, ``key`` and ``seen`` of a request whose words are checked."""
        key = asked.get("key", "")
        said = json.dumps([action, asked], sort_keys=True, default=repr).encode()
        digest = hashlib.sha256(said).hexdigest()[:32]
        return cls(asked.get("user", ""), key or digest, bool(key), asked.get("seen"))

    @property
    def words(self) -> dict[str, Any]:
        """Fields of the operation."""
        seen = {} if self.seen is None else {"base": self.seen}
        return {"who": self.user, "key": self.key, **seen}

    def earlier(self, channel: ChannelEdits) -> Operation | None:
        """Return the operation that this request made before; None if it is a new one.

        Without a key of its own, a request counts as made before if its operation is still the
        last one on the segments that it made.

        Raises
        ------
        DatabaseError
            The log cannot be read.
        """
        history = channel.history
        number = history.keyed(self.user, self.key)
        if number and (self.is_keyed or history.is_last(number)):
            return history.operations([number])[0]
        return None

    def done(
        self,
        channel: ChannelEdits,
        plan: Callable[[EditState], Operation | None],
        mentioned: Callable[[EditState], Ids],
        most: int,
    ) -> Operation:
        """Do what is asked, unless it was done already; return the operation.

        Parameters
        ----------
        channel : ChannelEdits
            The channel.
        plan : callable
            Returns the operation that follows a state; None if there is nothing to do.
        mentioned : callable
            Returns supervoxels of the segments of a state that the request mentions.
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
            if earlier := self.earlier(channel):
                result.append(earlier)
                return []
            try:
                operation = plan(state)
                if operation is None:
                    raise BadRequest("These are one segment already: there is nothing to do.")
            except BadRequest:
                # What others did may be why.
                self.check_seen(channel, state, mentioned)
                raise
            self._check(channel, operation, most)
            result.append(operation)
            return [operation]

        channel.append(operations)
        return result[0]

    def _check(self, channel: ChannelEdits, operation: Operation, most: int) -> None:
        names = np.concatenate([operation.names, operation.part_names])
        if len(names) and names.max() > most:
            raise BadRequest(f"No id up to {most}, which voxels can hold, is free for a part.")
        self._check_numbers(channel, operation.before)

    def check_seen(
        self, channel: ChannelEdits, state: EditState, mentioned: Callable[[EditState], Ids]
    ) -> None:
        """Check that no segment that the request mentions is newer than what the author saw.

        Parameters
        ----------
        channel, mentioned
            As those of `done`.
        state : EditState
            The state.

        Raises
        ------
        Conflict
            One is. The message names the operations.
        """
        if self.seen is not None:
            self._check_numbers(channel, state.numbers(mentioned(state)))

    def _check_numbers(self, channel: ChannelEdits, numbers: NDArray[Any]) -> None:
        if self.seen is None:
            return
        later = {channel.history.lineage.made_by(number) for number in numbers.tolist()}
        if since := sorted(number for number in later if number > self.seen):
            told = described(channel.history.operations(since))
            raise Conflict(f"The segments have changed since the operation {self.seen}: {told}.")
