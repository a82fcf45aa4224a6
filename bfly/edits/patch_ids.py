"""The largest supervoxel that a patch of any line of a channel made, also by other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.edits.lines import key_of

if TYPE_CHECKING:
    from bfly.edits.channel import ChannelEdits

__all__ = ["PatchIds"]


class PatchIds:
    """What patches of a channel and of its branches made. Thread-safe.

    A writer asks within its transaction, so lines are not opened and no lock is taken: what the
    log has is read on.

    Parameters
    ----------
    channel : ChannelEdits
        The channel.
    """

    def __init__(self, channel: ChannelEdits) -> None:
        position = channel.state.position
        made = [int(patch.new.max(initial=0)) for patch in channel.history.patches()]
        self._path, self._log = channel.path, channel.log
        # Key in the log → the last operation that was read, and the largest id up to it.
        self._read = {channel.path: (position, max(made, default=0))}

    def last(self) -> int:
        """Return the largest id, also of patches that were taken back; 0 if there is none.

        Raises
        ------
        DatabaseError
            The log cannot be read.
        """
        lines = range(1, self._log.last(key_of(self._path, 0)) + 1)
        keys = [self._path, *(key_of(self._path, serial) for serial in lines)]
        return max(map(self._last_of, keys))

    def _last_of(self, key: str) -> int:
        position, last = self._read.get(key, (0, 0))
        for operation in self._log.read(key, position):
            position = operation.id
            last = max(last, int(operation.pairs[:, 1].max(initial=0)))
        self._read[key] = position, last
        return last
