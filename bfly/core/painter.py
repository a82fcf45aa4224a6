"""Requests to paint: voxels in a box, and what they become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.patch import painted
from bfly.errors import BadRequest
from bfly.splitting.mask_runs import mask_of
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.operation import Operation
    from bfly.edits.patch import Fresh
    from bfly.edits.state import EditState
    from bfly.geometry import BoundingBox
    from bfly.volumes.volume import Volume

__all__ = ["Painter"]


class Painter:
    """A request to paint.

    Parameters
    ----------
    volume : Volume
        The segmentation.
    cutouts : Cutouts
        Reads voxels.
    asked : mapping
        ``box``, a `BoundingBox` at mip 0; ``runs`` or ``bits``, which voxels of it (all if neither
        is there); ``id``, what they become, None for a new id; ``over``, the ids that are painted
        over (all if it is not there).

    Raises
    ------
    BadRequest
        The box is not in the channel, or the voxels are not of the box.

    Attributes
    ----------
    ids : set of int
        The segments and supervoxels that the request names.
    """

    def __init__(self, volume: Volume, cutouts: Cutouts, asked: Mapping[str, Any]) -> None:
        self._volume, self._cutouts = volume, cutouts
        self._box: BoundingBox = asked["box"]
        place = volume.level(0).place
        if self._box not in place:
            asked_for, whole = (
                f"from {list(box.start[::-1])} to {list(box.stop[::-1])}"
                for box in (self._box, place)
            )
            raise BadRequest(
                f"The box {asked_for} is not inside the channel, which is {whole} (x, y, z)."
            )
        self._mask = _mask(asked.get("runs"), asked.get("bits"), self._box)
        self._into: int | None = asked["id"]
        self._over: list[int] | None = asked.get("over")
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


def _mask(runs: list[list[int]] | None, bits: bytes | None, box: BoundingBox) -> NDArray[np.bool_]:
    """Return which voxels of the box are meant."""
    if runs is not None and bits is not None:
        raise BadRequest("Both runs and bits are given; allowed is one of them.")
    if runs is not None:
        return mask_of(np.array(runs, np.int64), box.shape)
    if bits is None:
        return np.ones(box.shape, bool)
    size = -(-box.size // 8)
    if len(bits) != size:
        raise BadRequest(f"bits has {len(bits)} bytes; {box.size} voxels take {size}.")
    flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=box.size, bitorder="little")
    if not flat.any():
        raise BadRequest("bits has no voxel.")
    mask: NDArray[np.bool_] = flat.view(bool).reshape(box.shape)
    return mask
