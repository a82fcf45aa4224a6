"""Neuroglancer precomputed volumes: ``info`` and raw chunks at every mip.

The format: ``src/datasource/precomputed/volume.md`` in the Neuroglancer repository. It counts
x, y, z; a raw chunk is the voxels in Fortran order of (x, y, z), which is C order of zyx.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent
from bfly.protocols.protocol import Protocol, channel_words
from bfly.queries.data import MOST_HALVINGS, DataQuery
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.geometry import Zyx
    from bfly.tree import Channel
    from bfly.volume import Volume

__all__ = ["ChunkQuery", "Precomputed", "VolumeQuery"]

CHUNK: Zyx = (64, 64, 64)
"""What clients are told to ask for, unless the tiles suggest something near it."""

CHUNK_BYTES = (64 << 10, 2 << 20)
"""The sizes between which a tile is offered as it is, if it is anything like a cube."""

_CHUNK_PATH = re.compile(r"(\d+)/(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)")


class VolumeQuery(InfoQuery):
    """A request for the ``info`` of a volume."""

    method = "precompute_info"

    @property
    def result(self) -> dict[str, Any]:
        """The ``info``: one scale for each mip down to a section of one chunk."""
        volume = self.volume
        return {
            "@type": "neuroglancer_multiscale_volume",
            "type": volume.kind,
            "data_type": volume.dtype.name,
            "num_channels": 1,
            "scales": [_scale(volume, mip) for mip in range(volume.levels)],
        }


class ChunkQuery(DataQuery):
    """A request for a raw chunk, which has to lie inside the volume."""

    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Learn what the source is like.

        Raises
        ------
        Absent
            There is no such mip, or the chunk leaves the volume.
        """
        super().update_source(keywords)
        mip = self.resolution
        whole = self.volume.level(mip).whole.shift(self.off_zyx)
        if mip >= self.volume.levels or self.box not in whole:
            raise Absent(
                f"There is no chunk {self.box.start} to {self.box.stop} (zyx) at mip {mip}; "
                f"the volume is {whole.start} to {whole.stop} and has {self.volume.levels} mips."
            )


class Precomputed(Protocol):
    """``/pre/{experiment::sample::dataset}/{channel}/…``."""

    prefixes: ClassVar[tuple[str, ...]] = ("pre",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        token, _, rest = path.partition("/")
        name, _, rest = rest.partition("/")
        channel = self._channel(token, name)
        if rest == "info":
            return VolumeQuery(name=name, **channel_words(channel))
        chunk = _CHUNK_PATH.fullmatch(rest)
        if chunk is None or int(chunk[1]) > MOST_HALVINGS:
            raise Absent(f"There is no {rest} in a volume, only info and MIP/X-X_Y-Y_Z-Z.")
        mip, x, x_stop, y, y_stop, z, z_stop = map(int, chunk.groups())
        if x >= x_stop or y >= y_stop or z >= z_stop:
            raise Absent(f"The chunk {rest} is empty.")
        return ChunkQuery(
            **channel_words(channel),
            z=z,
            y=y,
            x=x,
            depth=z_stop - z,
            height=y_stop - y,
            width=x_stop - x,
            resolution=mip,
            format="raw",
        )

    def _channel(self, token: str, name: str) -> Channel:
        match token.split("::"):
            case [experiment, sample, dataset]:
                return self.config.find(experiment, sample, dataset, name)
        raise Absent(f"{token} is not experiment::sample::dataset.")


def _scale(volume: Volume, mip: int) -> dict[str, Any]:
    level, nanometres = volume.level(mip), volume.voxel_size
    halved = (nanometres[0], nanometres[1] * 2**mip, nanometres[2] * 2**mip)
    return {
        "key": str(mip),
        "size": level.whole.shape[::-1],
        "resolution": [int(size) if size == int(size) else size for size in halved[::-1]],
        "voxel_offset": level.origin[::-1],
        "chunk_sizes": [_chunk(volume, mip)[::-1]],
        "encoding": "raw",
    }


def _chunk(volume: Volume, mip: int) -> Zyx:
    """Choose the chunks to offer: the tiles, where they are blocks of a usual size."""
    tile = volume.level(mip).tile
    z, y, x = tile
    nbytes = z * y * x * volume.dtype.itemsize
    if max(tile) <= 4 * min(tile) and CHUNK_BYTES[0] <= nbytes <= CHUNK_BYTES[1]:
        return tile
    return CHUNK
