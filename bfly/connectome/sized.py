"""Sizes and places of segments, for their properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.tables.columns import POINT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.segments.segments import Segments
    from bfly.tables.columns import Columns

    Ids = NDArray[np.uint64]

__all__ = ["MOST", "Sized"]

MOST = 50_000
"""Segments with a size: 2 to 5 MB of JSON, of which a server makes 8 MB a second, and which a
browser reads in a tenth of that time."""

BATCH = 1000
"""Segments that are looked up at once: bounds the memory."""


class Sized(NamedTuple):
    """The largest segments of a channel.

    Parameters
    ----------
    segments : Segments
        The segments.
    origin : tuple of int
        First voxel of the channel in the dataset.
    voxel : float or None
        µm³ of a voxel, if it is known.
    """

    segments: Segments
    origin: Zyx
    voxel: float | None

    def largest(self) -> Ids:
        """Return the ids of the `MOST` largest segments, the largest first."""
        return np.ascontiguousarray(self.segments.sizes(0, MOST)["label"])

    def columns(self, ids: Ids) -> Columns:
        """Return ``voxels`` and, if it is known, ``volume_um3`` of segments; 0 without a voxel.

        None if there are more than `MOST` ids.
        """
        if len(ids) > MOST:
            return {}
        voxels = np.zeros(len(ids), np.uint64)
        sizes = self.segments.sizes(0, MOST)
        sizes = sizes[np.argsort(sizes["label"], kind="stable")]
        places = np.searchsorted(sizes["label"], ids)
        places[places == len(sizes)] = 0
        listed = sizes["label"][places] == ids if len(sizes) else np.zeros(len(ids), bool)
        voxels[listed] = sizes["voxels"][places[listed]]
        for batch in _batches(np.flatnonzero(~listed)):
            rows = self.segments.of(ids[batch])
            found = np.isin(ids[batch], rows["label"])
            voxels[batch[found]] = rows["voxels"][np.searchsorted(rows["label"], ids[batch[found]])]
        volume = {} if self.voxel is None else {"volume_um3": voxels * self.voxel}
        wide = len(voxels) and voxels.max() >= 2**32
        return {"voxels": voxels.astype(np.float64) if wide else voxels, **volume}

    def places(self, ids: Ids) -> Columns:
        """Return a voxel of each segment that has one: ``neuron``, ``z``, ``y``, ``x``."""
        parts = [self.segments.of(ids[batch]) for batch in _batches(np.arange(len(ids)))]
        rows = np.concatenate(parts) if parts else self.segments.of(ids)
        points = {
            name: rows["point"][:, axis].astype(np.int64) + self.origin[axis]
            for axis, name in enumerate(POINT)
        }
        return {"neuron": np.ascontiguousarray(rows["label"]), **points}


def _batches(places: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(places), BATCH):
        yield places[start : start + BATCH]
