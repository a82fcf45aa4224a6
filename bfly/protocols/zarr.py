"""OME-Zarr 0.4 (zarr v2) and 0.5 (zarr v3): multiscale images with labels, and plain arrays.

An image also has the segmentations of its dataset, as ``labels/CHANNEL``. All channels of a file
are one image with an axis of channels, ``NAME-all``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.errors import Absent
from bfly.protocols.channel_group import channel_group
from bfly.protocols.chunk_grid import NUMBER, BlockQuery, ChunkGrid
from bfly.protocols.protocol import by_token, channel_words, dataset_words
from bfly.protocols.zarr_metadata import COMPRESSORS, Zarr2Query, Zarr3Query, ZarrQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.config.tree import Channel
    from bfly.queries.data import DataQuery
    from bfly.queries.info import InfoQuery

__all__ = ["Zarr2", "Zarr3"]

_BLOCK = f"(?P<z>{NUMBER})/(?P<y>{NUMBER})/(?P<x>{NUMBER})"

_PATH = re.compile(
    rf"(?P<token>[^/]+)/(?P<channel>[^/]+)/(?:(?P<compressor>{'|'.join(COMPRESSORS)})/)?"
    r"(?P<file>(?:labels/(?P<label>[^/]+)/(?P<below>.*))|.*)"
)


class _Zarr(ChunkGrid):
    """Base of both versions: compressors in the address, and labels below images."""

    format = COMPRESSORS[0]

    chunk_of_group: ClassVar[re.Pattern[str]]
    """Pattern of a chunk of a group of channels: the index c is before z."""

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        path = self.config.addresses.former(path)
        parts = _PATH.fullmatch(path)
        if parts is None:
            return super().query(path, parameters)
        channel, file = parts["channel"], parts["file"]
        group = channel_group(self.config, parts["token"], channel)
        if group:
            channel, file = self._in_group(group, file)
        if parts["label"] and self.block.fullmatch(parts["below"]):
            # A chunk of a label image is a chunk of the label's own channel.
            channel, file = parts["label"], parts["below"]
        query = super().query(f"{parts['token']}/{channel}/{file}", parameters)
        compressor = parts["compressor"] or self.format
        if isinstance(query, BlockQuery):
            query.format = compressor
        elif isinstance(query, ZarrQuery):
            query.compressor = compressor
            query.count = len(group)
            if group:
                query.channels = [{"name": each.name, **channel_words(each)} for each in group]
                return query
            name = by_token(self.config, f"{parts['token']}/{channel}")[0].own_name
            query.channels = [
                words
                for words in dataset_words(self.config, parts["token"])["channels"]
                if words["name"] != name and words["kind"] != "image"
            ]
        return query

    def _in_group(self, group: Sequence[Channel], file: str) -> tuple[str, str]:
        """Return the channel that has a file of a group, and the file's path there.

        A chunk of a group has voxels of one channel, so that it is a chunk of that channel.
        """
        chunk = self.chunk_of_group.fullmatch(file)
        if chunk is None and not self.block.fullmatch(file):
            return group[0].name, file
        if chunk is None or int(chunk["c"]) >= len(group):
            raise Absent(f"There is no chunk {file} in {len(group)} channels; c is before z.")
        return group[int(chunk["c"])].name, f"{chunk['array']}{chunk['rest']}"


class Zarr2(_Zarr):
    """``/zarr/…/MIP/Z/Y/X``, with the separator that OME-Zarr recommends."""

    prefixes: ClassVar[tuple[str, ...]] = ("zarr",)
    document = Zarr2Query
    block = re.compile(f"(?P<mip>{NUMBER})/{_BLOCK}")
    chunk_of_group = re.compile(rf"(?P<array>{NUMBER}/)(?P<c>{NUMBER})/(?P<rest>{_BLOCK})")


class Zarr3(_Zarr):
    """``/zarr3/…/MIP/c/Z/Y/X``."""

    prefixes: ClassVar[tuple[str, ...]] = ("zarr3",)
    document = Zarr3Query
    block = re.compile(f"(?P<mip>{NUMBER})/c/{_BLOCK}")
    chunk_of_group = re.compile(rf"(?P<array>{NUMBER}/c/)(?P<c>{NUMBER})/(?P<rest>{_BLOCK})")
