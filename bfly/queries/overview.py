"""Requests for the preview of a channel: its properties, a thumbnail, its contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.downsample import downsample
from bfly.encoders.contrast import Contrast, contrast, stretched
from bfly.geometry import BoundingBox, zyx
from bfly.queries.data import BoxQuery
from bfly.queries.info import InfoQuery
from bfly.volumes.stored_layers import offered_annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from bfly.encoders.encoder import Encoder

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["ChannelQuery", "ContrastQuery", "CountsQuery", "ThumbnailQuery"]

WINDOW = 2048
"""Voxels: side of the largest square that is read of a section, however large it is."""

SIDE = 512
"""Pixels: upper limit for the longer side of a thumbnail."""


class ChannelQuery(InfoQuery):
    """A request for the properties of a channel that need no voxels, in x, y, z.

    Parameters
    ----------
    **keywords
        Those of `InfoQuery`; and ``table``, the name of the channel for graphene clients.
    """

    WORDS: ClassVar[dict[str, str]] = {**InfoQuery.WORDS, "table": "table"}
    table: str | None = None

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
            "kind_source": volume.source.kind_source,
            "kind_doubt": volume.source.kind_doubt,
            "dtype": volume.dtype.name,
            "stored_dtype": volume.source.stored_dtype.name,
            "size": levels[0].whole.shape[::-1],
            "voxel_offset": levels[0].origin[::-1],
            "voxel_size": stated and stated[::-1],
            "mips": [level.whole.shape[::-1] for level in levels],
            "annotations": offered_annotations(volume),
            "segments": self.segments,
            "table": self.table if volume.kind == "segmentation" else None,
        }


class CountsQuery(InfoQuery):
    """A request for the numbers of neurons and synapses of a dataset, by its path."""

    lasting = False

    def answer_text(self, counts: dict[str, int]) -> str:
        """Return the counts in the requested format."""
        return self._text(counts)


class _SectionQuery(BoxQuery):
    """A request for the middle section of a channel, or for the middle of a large one.

    It is read from the coarsest stored mip that is large enough, so that it is cheap with or
    without a pyramid.
    """

    plain = False

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source, and the box in its middle."""
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
    """A request for a thumbnail: an image in its own contrast, labels in colours."""

    format = "webp"

    @override
    def arranged(self, voxels: Voxels) -> Voxels:
        step = -(-max(voxels.shape[1:]) // SIDE)
        if self.volume.kind == "segmentation":
            return voxels[:, ::step, ::step]
        low, high = contrast(voxels)
        small = downsample(voxels, (0, 0, 0), (1, step, step), "image")
        return stretched(small, low, high)


class ContrastQuery(_SectionQuery):
    """A request for the values that are best shown as black and as white."""

    @property
    @override
    def encoder(self) -> Encoder:
        """Encoder of these values."""
        return Contrast()
