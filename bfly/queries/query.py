"""The base of all queries: parameters of the wire as keyword arguments and named fields."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from bfly.errors import BadRequest
from bfly.queries.keyworded import Keyworded
from bfly.validation import OneOf, whole_number
from bfly.volumes.channel import ChannelSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bfly.edits.state import EditState
    from bfly.geometry import Zyx
    from bfly.validation import Allowed
    from bfly.volumes.volume import Volume

__all__ = ["LABELS", "Query"]

LABELS = OneOf(
    lambda: ("segments", "supervoxels", "patched"),
    "labels with the edits of the channel, as stored, or as stored with its patches",
)
"""Choices for the labels of a segmentation."""


class Query(Keyworded):
    """A request about one path; the base of `InfoQuery`, `DataQuery` and `TileQuery`.

    Parameters
    ----------
    **keywords
        Parameters of the wire; see `WORDS`. Others are kept, and change nothing. ``path`` is the
        channel's file or folder, ``voxel_offset`` the position of its first voxel (zyx, mip 0).
        ``offset`` is the documented opposite: voxel of the file minus voxel asked for. ``kind``
        and ``voxel_size`` are set if the configuration has them. ``unmoved`` counts rows and
        columns from the channel's first voxel, whatever its position. For ``labels`` see
        `LABELS`.

    Raises
    ------
    BadRequest
        The value of a keyword is not allowed.
    """

    WORDS: ClassVar[dict[str, str]] = {
        "method": "method",
        "path": "path",
        "voxel_offset": "voxel_offset",
        "kind": "kind",
        "unmoved": "unmoved",
        "voxel_size": "voxel_size",
        "source-type": "source_type",
        "block-size": "block_size",
        "data-type": "data_type",
        "dimensions": "dimensions",
        "voxel-size": "stated_voxel_size",
        "voxel-size-source": "voxel_size_source",
        "volume": "known_volume",
        "labels": "labels",
        "state": "state",
    }
    """Attribute that each keyword sets."""

    ALLOWED: ClassVar[dict[str, Allowed]] = {"labels": LABELS}
    """Allowed values of the keywords that come from the wire as they are."""

    _INPUT: ClassVar[dict[str, str]] = {"METHODS": "method", "IMAGE.OFFSET": "offset"}
    _RUNTIME: ClassVar[dict[str, str]] = {
        "IMAGE.SOURCE": "source_type",
        "IMAGE.BLOCK": "block_size",
    }
    _OUTPUT: ClassVar[dict[str, str]] = {
        "INFO.PATH": "path",
        "INFO.TYPE": "data_type",
        "INFO.SIZE": "dimensions",
        "INFO.QUERY": "method",
    }

    lasting = True
    """Whether the answer stays valid as long as the channel's files do not change."""

    path: str = ""
    voxel_offset: Zyx = (0, 0, 0)
    kind: str | None = None
    voxel_size: tuple[float, float, float] | None = None
    unmoved = False
    source_type: str = ""
    block_size: list[list[int]] = []  # noqa: RUF012 - replaced, never changed
    data_type: str = ""
    dimensions: dict[str, int] = {}  # noqa: RUF012
    stated_voxel_size: dict[str, float] = {}  # noqa: RUF012
    voxel_size_source: str = ""
    known_volume: Volume | None = None
    labels = "segments"
    state: EditState | None = None

    @override
    def update_keys(self, keywords: Mapping[str, Any]) -> None:
        if "offset" in keywords and "voxel_offset" in keywords:
            raise BadRequest("Both offset and voxel_offset are given; allowed is one of them.")
        super().update_keys(keywords)
        self.voxel_offset = _vector("voxel_offset", self.voxel_offset)
        if "offset" in keywords:
            self.offset = keywords["offset"]

    @property
    def offset(self) -> Zyx:
        """Voxel of the file minus voxel asked for: the opposite of `voxel_offset`."""
        z, y, x = self.voxel_offset
        return -z, -y, -x

    @offset.setter
    def offset(self, value: Any) -> None:
        z, y, x = _vector("offset", value)
        self.voxel_offset = -z, -y, -x

    @property
    def spec(self) -> ChannelSpec:
        """The channel, before it is opened."""
        return ChannelSpec(self.path, self.voxel_offset, self.kind, self.voxel_size, self.unmoved)

    @property
    def key(self) -> str:
        """Key of the channel with its place and kind, unique among all channels."""
        return self.spec.key

    @property
    def follows_edits(self) -> bool:
        """Whether the answer depends on the edits of the channel."""
        return self.is_data

    @property
    def volume(self) -> Volume:
        """The open channel.

        Raises
        ------
        RuntimeError
            `update_source` was not called.
        """
        if self.known_volume is None:
            raise RuntimeError(f"The query about {self.path} was not given its source.")
        return self.known_volume

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the voxels as served; available after `update_source`."""
        return self.known_volume.dtype if self.known_volume else np.dtype(self.data_type)

    @property
    def edit_path(self) -> str:
        """Path of the channel below the configured folder of edits."""
        from bfly.config import settings

        return os.path.join(settings.EDIT_PATH, self.path.lstrip(os.sep))

    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source.

        Parameters
        ----------
        keywords : dict
            As `Core.update_query` returns: ``source-type``, ``block-size`` (the tile shape
            at each mip up to the last stored one, zyx), ``data-type``, ``dimensions`` (voxels
            of mip 0 as a mapping of x, y and z), ``voxel-size`` (nanometres, likewise),
            ``voxel-size-source``, ``volume`` (the open channel) and ``state`` (that of its edits,
            if the answer depends on them).
        """
        self._take(keywords)

    def update_dataset(self, keywords: Iterable[Mapping[str, Any]]) -> None:
        """Set the metadata of a dataset: that of its channel with the most mips, and their extent.

        Parameters
        ----------
        keywords : iterable of dict
            For each channel what `Core.update_query` returns.
        """
        channels = list(keywords)
        finest = max(channels, key=lambda channel: len(channel["block-size"]))
        sizes = [channel["dimensions"] for channel in channels]
        extent = {axis: max(size[axis] for size in sizes) for axis in "xyz"}
        self.update_source({**finest, "dimensions": extent})


def _vector(name: str, value: Any) -> Zyx:
    try:
        z, y, x = value
    except (TypeError, ValueError):
        raise BadRequest(f"The {name} {value} is not three whole numbers [z, y, x].") from None
    return whole_number(name, z), whole_number(name, y), whole_number(name, x)
