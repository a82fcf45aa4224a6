"""OME-Zarr 0.4 (zarr v2) and 0.5 (zarr v3): multiscale images with labels, and plain arrays.

An image also has the segmentations of its dataset, as ``labels/CHANNEL``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.protocols.chunk_grid import NUMBER, BlockQuery, ChunkGrid
from bfly.protocols.protocol import dataset_words
from bfly.protocols.zarr_metadata import COMPRESSORS, Zarr2Query, Zarr3Query, ZarrQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        parts = _PATH.fullmatch(path)
        if parts is None:
            return super().query(path, parameters)
        channel, file = parts["channel"], parts["file"]
        if parts["label"] and self.block.fullmatch(parts["below"]):
            # A chunk of a label image is a chunk of the label's own channel.
            channel, file = parts["label"], parts["below"]
        query = super().query(f"{parts['token']}/{channel}/{file}", parameters)
        compressor = parts["compressor"] or self.format
        if isinstance(query, BlockQuery):
            query.format = compressor
        elif isinstance(query, ZarrQuery):
            query.compressor = compressor
            query.channels = [
                words
                for words in dataset_words(self.config, parts["token"])["channels"]
                if words["name"] != channel and words["kind"] != "image"
            ]
        return query


class Zarr2(_Zarr):
    """``/zarr/…/MIP/Z/Y/X``, with the separator that OME-Zarr recommends."""

    prefixes: ClassVar[tuple[str, ...]] = ("zarr",)
    document = Zarr2Query
    block = re.compile(f"(?P<mip>{NUMBER})/{_BLOCK}")


class Zarr3(_Zarr):
    """``/zarr3/…/MIP/c/Z/Y/X``."""

    prefixes: ClassVar[tuple[str, ...]] = ("zarr3",)
    document = Zarr3Query
    block = re.compile(f"(?P<mip>{NUMBER})/c/{_BLOCK}")
