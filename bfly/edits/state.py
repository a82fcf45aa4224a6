"""One state of a channel's edits: what the log up to an operation makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.edits.forest import Forest

    Ids = NDArray[np.uint64]

__all__ = ["EditState"]


class EditState:
    """The segments after an operation; never changes, whatever is written meanwhile.

    Parameters
    ----------
    forest : Forest
        In which the operation, and perhaps later ones, were done.
    position : int
        The number of the operation; 0 before the first.
    splits : sequence of str
        As in documented messages.

    Attributes
    ----------
    current : bool
        False once there is a later state of the channel.
    count : int
        How many supervoxels the operations named, and names that are none of these.
    """

    def __init__(self, forest: Forest, position: int, splits: Sequence[str]) -> None:
        self.position = position
        self.splits = tuple(splits)
        self.current = True
        self._forest = forest
        self.count = forest.count

    def segments(self, supervoxels: Ids) -> Ids:
        """Give the name of the segment of each supervoxel."""
        return self._forest.segments(supervoxels, self.position, self.count)

    def knows(self, supervoxels: Ids) -> NDArray[np.bool_]:
        """Tell which supervoxels an operation named."""
        known: NDArray[np.bool_] = self._forest.find(supervoxels, self.count) >= 0
        return known

    def is_name(self, ids: Ids) -> NDArray[np.bool_]:
        """Tell which ids are those of segments: all but those that got another name."""
        held: NDArray[np.bool_] = self._holders(ids) >= 0
        same: NDArray[np.bool_] = self.segments(ids) == ids
        return held | same

    def _holders(self, names: Ids) -> NDArray[np.int64]:
        return self._forest.holders(names, self.position, self.count)

    def named(self, names: Ids) -> tuple[Ids, Ids]:
        """Give, of names that segments have, a supervoxel of each segment and the name."""
        holders = self._holders(names)
        return self._forest.ids(holders[holders >= 0]), names[holders >= 0]

    def standing_for(self, given: int) -> list[int]:
        """Give supervoxels of all that an id stands for.

        That is the segment of the name, and else the supervoxel's segment. A name that is the id
        of a supervoxel which no operation named stands for both, as they look the same.
        """
        ids = np.array([given], np.uint64)
        one, _ = self.named(ids)
        return one.tolist() if len(one) and self.knows(ids)[0] else [*one.tolist(), given]

    def members(self, given: int) -> Ids:
        """Give the supervoxels, sorted, of all that an id stands for; see `standing_for`."""
        ids = np.array(self.standing_for(given), np.uint64)
        places = self._forest.find(ids, self.count)
        roots = self._forest.roots(places[places >= 0], self.position).tolist()
        found = [self._forest.members(root, self.position) for root in set(roots)]
        return np.sort(np.concatenate([ids[places < 0], *found]))

    def table(self) -> tuple[Ids, Ids]:
        """Give all supervoxels that were edited and the names of their segments, by segment.

        The supervoxels of each segment are sorted.
        """
        supervoxels, segments = self._forest.table(self.position, self.count)
        order = np.lexsort((supervoxels, segments))
        return supervoxels[order], segments[order]
