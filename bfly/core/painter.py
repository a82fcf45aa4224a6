"""Requests to paint: voxels in a box, and what they become."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.patch import painted
from bfly.errors import BadRequest
from bfly.geometry import BoundingBox, zyx
from bfly.splitting.mask_runs import mask_of
from bfly.validation import whole_number
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.operation import Operation
    from bfly.edits.patch import Fresh
    from bfly.edits.state import EditState
    from bfly.volumes.volume import Volume

__all__ = ["Painter"]

LARGEST = 1 << 24
"""Voxels of the box, at most."""

MOST_RUNS = 100_000
"""Runs of a request, at most."""

MOST_OVER = 10_000
"""Ids that may be painted over, at most."""


class Painter:
    """A request to paint.

    Parameters
    ----------
    volume : Volume
        The segmentation.
    cutouts : Cutouts
        Reads voxels.
    asked : mapping
        ``box``, the first voxel and the end [x, y, z] in voxels of mip 0; ``runs`` or ``bits``,
        which voxels of it (all if neither is there); ``id``, what they become; ``over``, the ids
        that are painted over (all if it is not there).

    Raises
    ------
    BadRequest
        One of them is missing, or has a value that is not allowed.

    Attributes
    ----------
    ids : set of int
        The segments and supervoxels that the request names.
    """

    def __init__(self, volume: Volume, cutouts: Cutouts, asked: Mapping[str, Any]) -> None:
        self._volume, self._cutouts = volume, cutouts
        self._box = _box(asked.get("box"))
        if self._box not in volume.level(0).place:
            place = volume.level(0).place
            raise BadRequest(
                f"The box {asked['box']} is not inside the channel, which is from "
                f"{list(place.start[::-1])} to {list(place.stop[::-1])} (x, y, z)."
            )
        self._mask = _mask(asked, self._box)
        given = asked.get("id")
        self._into = None if given == "new" else whole_number("id", given, 0, 2**64 - 1)
        self._over = _over(asked.get("over"))
        self.ids = {one for one in (self._into, *(self._over or ())) if one}

    def plan(self, early: EditState, fresh: Fresh) -> Callable[..., Operation]:
        """Return a function from a state, and the fields of an operation, to the operation.

        It raises `BadRequest` if all of the voxels are what they should become. The voxels are
        read before, so that no other writer waits, and again if there are other patches meanwhile.

        Parameters
        ----------
        early : EditState
            The latest state now.
        fresh : Fresh
            Ids for new supervoxels.
        """
        read = self._labels(early)

        def planned(state: EditState, **words: Any) -> Operation:
            labels = read if state.patches is early.patches else self._labels(state)
            mask = self._mask & self._allowed(state, labels)
            local = self._box.relative_to(self._volume.level(0).origin)
            corners = np.array([self._box.start, self._box.stop]) - [[0], [1]]
            words["points"] = corners
            done = painted(state, local, labels, mask, self._into, fresh, **words)
            if done is None:
                raise BadRequest("There is nothing to paint: the voxels are as asked already.")
            return done

        return planned

    def _labels(self, state: EditState) -> Any:
        return self._cutouts.gather(Region.of(self._volume, 0, self._box, state.patched))

    def _allowed(self, state: EditState, labels: Any) -> NDArray[np.bool_] | np.bool_:
        """Return which voxels may be painted over."""
        if self._over is None:
            return np.True_
        members = [state.members(each) for each in self._over if each]
        background = np.zeros(self._over.count(0), np.uint64)
        allowed = np.concatenate([background, *members])
        most = np.iinfo(labels.dtype).max
        return np.isin(labels, allowed[allowed <= most].astype(labels.dtype))


def _box(value: Any) -> BoundingBox:
    corners = value if isinstance(value, list) and len(value) == 2 else []
    if not corners or not all(isinstance(each, list) and len(each) == 3 for each in corners):
        raise BadRequest(
            "box is not [[x, y, z], [x, y, z]]: its first voxel and its end, at mip 0."
        )
    low, high = ([whole_number("box", one) for one in reversed(each)] for each in corners)
    box = BoundingBox(zyx(low), zyx(high))
    if not 0 < box.size <= LARGEST:
        raise BadRequest(f"The box {value} has {box.size} voxels; allowed are 1 to {LARGEST}.")
    return box


def _mask(asked: Mapping[str, Any], box: BoundingBox) -> NDArray[np.bool_]:
    """Return which voxels of the box are meant."""
    runs, bits = asked.get("runs"), asked.get("bits")
    if runs is not None and bits is not None:
        raise BadRequest("Both runs and bits are given; allowed is one of them.")
    if runs is not None:
        if not isinstance(runs, list) or not 0 < len(runs) <= MOST_RUNS:
            raise BadRequest(f"runs is not a list of 1 to {MOST_RUNS} pairs [first, length].")
        if not all(isinstance(run, list) and len(run) == 2 for run in runs):
            raise BadRequest("runs is not a list of pairs [first, length].")
        numbers = [[whole_number("runs", one, 0, box.size) for one in run] for run in runs]
        return mask_of(np.array(numbers, np.int64), box.shape)
    if bits is None:
        return np.ones(box.shape, bool)
    try:
        data = base64.b64decode(bits, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise BadRequest("bits is not base64.") from None
    size = -(-box.size // 8)
    if len(data) != size:
        raise BadRequest(f"bits has {len(data)} bytes; {box.size} voxels take {size}.")
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=box.size, bitorder="little")
    if not flat.any():
        raise BadRequest("bits has no voxel.")
    mask: NDArray[np.bool_] = flat.view(bool).reshape(box.shape)
    return mask


def _over(value: Any) -> list[int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not 0 < len(value) <= MOST_OVER:
        raise BadRequest(f"over is not a list of 1 to {MOST_OVER} ids; 0 is the background.")
    return [whole_number("over", each, 0, 2**64 - 1) for each in value]
