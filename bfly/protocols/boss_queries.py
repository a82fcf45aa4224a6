"""Queries of BossDB's clients: JSON about channels and labels, and cutouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.encoders.unsigned import as_unsigned, unsigned
from bfly.errors import BadRequest, SourceError
from bfly.queries.data import BoxQuery
from bfly.queries.dataset import DatasetQuery
from bfly.queries.info import InfoQuery
from bfly.queries.label import LabelQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import BoundingBox, Zyx
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = [
    "BossChannelQuery",
    "BossCutoutQuery",
    "BoundsQuery",
    "DownsampleQuery",
    "ExperimentQuery",
    "FrameQuery",
    "IdsQuery",
    "ReserveQuery",
]

CUBOID: Zyx = (16, 512, 512)
"""BossDB's unit of storage (zyx), to which a loose bounding box is rounded."""

SOME = 1 << 18
"""Voxels that are filtered in one batch: few enough to stay in the caches of a core."""

WIDER = {"uint32": "uint64"}
"""BossDB and intern support only uint8, uint16 and uint64."""


class BossChannelQuery(InfoQuery):
    """A request for the metadata of a channel.

    Parameters
    ----------
    description : str
        Description in the configuration.
    **keywords
        Keywords of `InfoQuery`.
    """

    def __init__(self, description: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._description = description

    @property
    @override
    def result(self) -> dict[str, Any]:
        volume = self.volume
        return {
            "name": self.name,
            "description": self._description,
            "creator": "",
            "type": "annotation" if volume.kind == "segmentation" else "image",
            "datatype": _sent(volume).name,
            "base_resolution": 0,
            "default_time_sample": 0,
            "downsample_status": "DOWNSAMPLED",
            "sources": [],
            "related": [],
        }


class ExperimentQuery(DatasetQuery):
    """A request for the metadata of an experiment, with the channels that can be read."""

    @property
    @override
    def result(self) -> dict[str, Any]:
        collection, _, name = self.dataset.partition("::")
        halved = any(channel.volume.level(1).factor[0] > 1 for channel in self.known)
        return {
            "name": name,
            "collection": collection,
            "description": "",
            "creator": "",
            "coord_frame": self.dataset,
            "channels": [channel.name for channel in self.known],
            "num_hierarchy_levels": self.levels,
            "hierarchy_method": "isotropic" if halved else "anisotropic",
            "num_time_samples": 1,
            "time_step": 0,
            "time_step_unit": "seconds",
        }


class FrameQuery(DatasetQuery):
    """A request for a coordinate frame: from voxel 0 to the end of all channels.

    Clients take a frame's start as voxel 0 at every mip: intern's arrays count from it, and
    Neuroglancer adds it, unscaled, to the position of each chunk. So it is 0 even if the
    channels begin later, and negative only if one begins before 0.
    """

    @property
    @override
    def result(self) -> dict[str, Any]:
        box = self.extent(0)
        sizes = {f"{axis}_voxel_size": _number(n) for axis, n in zip("zyx", self.grid, strict=True)}
        starts = {f"{axis}_start": min(0, n) for axis, n in zip("zyx", box.start, strict=True)}
        stops = {f"{axis}_stop": n for axis, n in zip("zyx", box.stop, strict=True)}
        words = {"name": self.dataset, "description": "", "voxel_unit": "nanometers"}
        return {**words, **sizes, **starts, **stops}


class DownsampleQuery(DatasetQuery):
    """A request for the mips of one channel, in its frame."""

    @property
    @override
    def result(self) -> dict[str, Any]:
        volume = next((query.volume for query in self.known if query.name == self.name), None)
        if volume is None:
            raise SourceError(f"The channel {self.name} cannot be used; the log says why.")
        (z, y, x), start = self.grid, self.extent(0).start
        sizes, extents = {}, {}
        for mip in range(volume.levels):
            level = volume.level(mip)
            (k, j, i), stop = level.factor, level.place.stop
            first = [a // f for a, f in zip(start, level.factor, strict=True)]
            sizes[str(mip)] = [_number(n) for n in (x * i, y * j, z * k)]
            extents[str(mip)] = [b - min(0, a) for a, b in zip(first, stop, strict=True)][::-1]
        return {
            "num_hierarchy_levels": volume.levels,
            "status": "DOWNSAMPLED",
            "voxel_size": sizes,
            "extent": extents,
            "cuboid_size": dict.fromkeys(sizes, CUBOID[::-1]),
        }


class BossCutoutQuery(BoxQuery):
    """A request for a cutout, optionally of some labels only.

    Parameters
    ----------
    labels : sequence of int
        Labels to keep; all others become 0. If empty, all are kept.
    **keywords
        Keywords of `BoxQuery`.
    """

    plain = False

    def __init__(self, labels: Sequence[int] = (), **keywords: Any) -> None:
        super().__init__(**keywords)
        self._labels = np.array(labels, np.uint64)

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source.

        Raises
        ------
        BadRequest
            Labels are requested from an image.
        """
        super().update_source(keywords)
        if self._labels.size and self.volume.kind != "segmentation":
            raise BadRequest(f"{self.path} is an image; only a segmentation has labels to filter.")

    @override
    def _memory(self, voxels: int, copied: int, part: int | None = None) -> int:
        factor = 1 if self.format == "jpeg" else _sent(self.volume).itemsize // self.dtype.itemsize
        return super()._memory(voxels, copied, part) * factor

    @override
    def arranged(self, voxels: Voxels) -> Voxels:
        """Return the voxels to encode: filtered, and of a dtype that BossDB supports.

        Raises
        ------
        BadRequest
            A voxel is negative, in a dtype that is sent as an unsigned one.
        """
        if self._labels.size:
            voxels = _only(voxels, self._labels)
        if self.format == "jpeg":
            return voxels
        sent = _sent(self.volume)
        if sent.kind == "u":
            voxels = as_unsigned(voxels, f"{self.path} is sent as BossDB, which")
        return voxels.astype(sent, copy=False)


class IdsQuery(LabelQuery):
    """A request for the labels in a box, except 0, the background."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__("unique", **keywords)

    @override
    def answer(self, found: set[int]) -> dict[str, list[str]]:
        return {"ids": [str(label) for label in sorted(found)]}


class BoundsQuery(LabelQuery):
    """A request for the bounding box of a label.

    Parameters
    ----------
    tight : bool
        Whether the box is the smallest one, or rounded out to cuboids.
    label : int
        Label in the box.
    **keywords
        Keywords of `BoxQuery`, without a box.
    """

    def __init__(self, tight: bool, label: int, **keywords: Any) -> None:
        super().__init__("box", label, whole=True, **keywords)
        self._tight = tight

    @override
    def answer(self, found: BoundingBox) -> dict[str, list[int]]:
        box = found if self._tight else found.in_tiles(CUBOID).refined(CUBOID)
        (z, y, x), (k, j, i) = box.start, box.stop
        return {"x_range": [x, i], "y_range": [y, j], "z_range": [z, k], "t_range": [0, 1]}


class ReserveQuery(LabelQuery):
    """A request for unused labels: those above the highest of mip 0.

    Nothing is reserved, since clients cannot write: the same request gets the same answer.

    Parameters
    ----------
    count : int
        Number of labels.
    **keywords
        Keywords of `BoxQuery`, without a box.
    """

    def __init__(self, count: int, **keywords: Any) -> None:
        super().__init__("highest", whole=True, **keywords)
        self._count = count

    @override
    def answer(self, found: int) -> dict[str, int]:
        if found + self._count >= 2**64:
            raise BadRequest(f"There are no {self._count} ids above {found}, the highest.")
        return {"start_id": found + 1, "count": self._count}


def _only(voxels: Voxels, labels: np.ndarray[Any, np.dtype[np.uint64]]) -> Voxels:
    """Return voxels (zyx) with all other labels set to 0; section by section, to save memory."""
    kept = np.zeros(voxels.shape, voxels.dtype)
    wanted = np.unique(labels[labels <= np.iinfo(voxels.dtype).max]).astype(voxels.dtype)
    if not wanted.size:
        return kept
    for section, target in zip(voxels, kept, strict=True):
        for start in range(0, len(section), rows := max(1, SOME // section.shape[1])):
            some = section[start : start + rows]
            place = np.searchsorted(wanted, some)
            is_wanted = wanted[np.minimum(place, len(wanted) - 1)] == some
            np.copyto(target[start : start + rows], some, where=is_wanted)
    return kept


def _sent(volume: Volume) -> np.dtype[Any]:
    """Return the dtype in which a channel is sent.

    An annotation of BossDB is unsigned. Images of int8, int16 and int32, which BossDB itself has
    not, stay as they are: Neuroglancer reads them, and intern refuses the channel. No client reads
    int64.
    """
    dtype = volume.dtype
    if volume.kind == "segmentation" or dtype.itemsize == 8:
        dtype = unsigned(dtype)
    return np.dtype(WIDER.get(dtype.name, dtype))


def _number(value: float) -> float:
    """Return a whole number as int, so that clients show no decimal point."""
    return int(value) if value == int(value) else value
