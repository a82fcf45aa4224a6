"""What people are shown of a channel before they open it: what it is, a picture, its contrast."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.downsample import downsample
from bfly.encoders.encoder import Encoder
from bfly.geometry import BoundingBox, zyx
from bfly.queries.data import BoxQuery
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["ChannelQuery", "ContrastQuery", "CountsQuery", "ThumbnailQuery", "contrast"]

WINDOW = 2048
"""Voxels: no more than the square of this is read of a section, however large it is."""

SIDE = 512
"""Pixels: the longer side of a thumbnail is at most this."""


class ChannelQuery(InfoQuery):
    """A request for all that is known of a channel without reading voxels, in x, y, z."""

    @property
    @override
    def result(self) -> dict[str, Any]:
        volume = self.volume
        levels = [volume.level(mip) for mip in range(volume.levels)]
        stated = volume.source.voxel_size
        return {
            "name": self.name,
            "format": volume.source.name,
            "kind": volume.kind,
            "dtype": volume.dtype.name,
            "size": levels[0].whole.shape[::-1],
            "offset": levels[0].origin[::-1],
            "voxel_size": stated and stated[::-1],
            "mips": [level.whole.shape[::-1] for level in levels],
        }


class CountsQuery(InfoQuery):
    """A request for how many neurons and synapses a dataset has, by its path.

    Attributes
    ----------
    counts : dict of str to int
        Set by the core.
    """

    lasting = False
    counts: dict[str, int] = {}  # noqa: RUF012 - replaced, never changed

    @property
    @override
    def result(self) -> dict[str, int]:
        return self.counts


class _SectionQuery(BoxQuery):
    """A request for the section through a channel's middle, or for the middle of that.

    It is read from the coarsest stored mip that is large enough, so that it costs little
    whether or not there is a pyramid.
    """

    plain = False

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Learn what the source is like, and so which box is its middle."""
        super().update_source(keywords)
        stored = [
            level
            for level in map(self.volume.level, range(self.volume.levels))
            if level.mip == level.stored
        ]
        large = [level for level in stored if max(level.whole.shape[1:]) >= SIDE]
        level = (large or stored[:1])[-1]
        whole = level.place
        shape = zyx(min(most, n) for most, n in zip((1, WINDOW, WINDOW), whole.shape, strict=True))
        start = zyx(
            a + (n - m) // 2 for a, n, m in zip(whole.start, whole.shape, shape, strict=True)
        )
        box = BoundingBox.of_shape(shape, start)
        self.resolution = level.mip
        (self.z, self.y, self.x), (self.depth, self.height, self.width) = box.start, box.shape


class ThumbnailQuery(_SectionQuery):
    """A request for a small picture: an image in its own contrast, labels in colours."""

    format = "webp"

    @override
    def arranged(self, voxels: Voxels) -> Voxels:
        step = -(-max(voxels.shape[1:]) // SIDE)
        if self.volume.kind == "segmentation":
            return voxels[:, ::step, ::step]
        low, high = contrast(voxels)
        small = downsample(voxels, (0, 0, 0), (1, step, step), "image")
        levels = (small.astype(np.float64) - low) * (255 / (high - low))
        return np.clip(np.nan_to_num(levels), 0, 255).astype(np.uint8)


class ContrastQuery(_SectionQuery):
    """A request for the levels that are best shown as black and as white."""

    @property
    @override
    def encoder(self) -> Encoder:
        """What writes the levels."""
        return _Levels()


class _Levels(Encoder):
    """Writes the contrast of voxels as JSON: two numbers."""

    media_type = "application/json"

    @override
    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes:
        return json.dumps({"range": contrast(voxels)}).encode()


def contrast(voxels: Voxels) -> tuple[float, float]:
    """Find the levels between which nearly all of an image lies.

    Parameters
    ----------
    voxels : numpy.ndarray
        Of any shape. Zeros, with which volumes are filled up, and what is no number do not
        count, unless there is nothing else.

    Returns
    -------
    tuple of float
        The percentiles 0.5 and 99.5 of at most a million voxels; the second is greater.
    """
    values = voxels.ravel()[:: max(1, voxels.size >> 20)]
    values = values[np.isfinite(values) & (values != 0)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (0.5, 99.5)).tolist()
    return (low, high) if high > low else (low, low + 1)
