"""Recounts: the postings of a cell before and after its voxels were patched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.segments.posting import POSTING, postings_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Recount"]


class Recount(NamedTuple):
    """What patches change in the postings of a cell.

    Parameters
    ----------
    before, after : numpy.ndarray
        `POSTING` of the labels that have other voxels, in ascending order of the labels. A label
        that is new has no row in `before`, and one that is gone has none in `after`.
    """

    before: NDArray[np.void]
    after: NDArray[np.void]

    @classmethod
    def of(
        cls,
        stored: np.ndarray[Any, np.dtype[Any]],
        patched: np.ndarray[Any, np.dtype[Any]],
        origin: Zyx,
    ) -> Recount:
        """Return what differs between two versions of a cell.

        Parameters
        ----------
        stored, patched : numpy.ndarray
            Labels (z, y, x) of the cell, C order.
        origin : tuple of int
            Its first voxel, counted from that of the channel.
        """
        differs = stored != patched
        labels = np.unique(np.concatenate([stored[differs], patched[differs]]))
        rows = (postings_of(each, origin) for each in (stored, patched))
        before, after = (each[np.isin(each["label"], labels.astype(np.uint64))] for each in rows)
        return cls(before, after)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return self.before.nbytes + self.after.nbytes

    @property
    def packed(self) -> bytes:
        """The bytes that are kept."""
        return len(self.before).to_bytes(8, "little") + self.before.tobytes() + self.after.tobytes()

    @classmethod
    def unpacked(cls, data: bytes) -> Recount:
        """Return a recount from the bytes of `packed`."""
        count = int.from_bytes(data[:8], "little")
        rows = np.frombuffer(data, POSTING, offset=8)
        return cls(rows[:count], rows[count:])
