"""When a stored chunk is the answer, byte for byte, it is sent as it lies on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly import registry
from bfly.encoders.sheet import SheetEncoder
from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.queries.data import DataQuery
    from bfly.sources.encoded_chunks import StoredAs

__all__ = ["Passed", "passed"]

Passed = tuple[bytes, str]
"""The stored bytes, and their content coding or ""."""


def passed(d_query: DataQuery, codings: Sequence[str]) -> Passed | None:
    """Give the answer to a request as it is stored: this is the one rule for that.

    Parameters
    ----------
    d_query : DataQuery
        It knows its source.
    codings : sequence of str
        The content codings that the client takes.

    Returns
    -------
    Passed or None
        None unless all of this is so: the mip is stored, and its sections are those asked for;
        the chunks are in the format that is asked for, packed in no way that the client does
        not take; a picture is asked for as it is, not in colours; no edit counts; the box is
        one chunk, cut off at most by the volume's end; and the source vouches for the chunk.

    Raises
    ------
    SourceError, NotAllowed
        As `Datasource.read_encoded`.
    """
    source, mip = d_query.volume.source, d_query.resolution
    level = d_query.volume.level(mip)
    if level.stored != mip or d_query.sections != 1 or not d_query.plain:
        return None
    ways = (way for way in source.stored_as(mip) if _is_wanted(way, d_query, codings))
    way = next(ways, None)
    if way is None or (d_query.state and d_query.state.position):
        return None
    box = d_query.box.relative_to(level.origin)
    index = box.in_tiles(level.scale.chunk).start
    chunk = BoundingBox.of_shape((1, 1, 1), index).refined(level.scale.chunk) & level.scale.box
    if box != chunk or not box.size:
        return None
    data = source.read_encoded(mip, index, way)
    return None if data is None else (data, way.coding)


def _is_wanted(way: StoredAs, d_query: DataQuery, codings: Sequence[str]) -> bool:
    """Tell whether what is stored so is in the format that is asked for, and can be unpacked."""
    encoder = d_query.encoder
    if way.coding not in ("", *codings):
        return False
    if not isinstance(encoder, registry.load("encoders", way.format)):
        return False
    grey = d_query.view == "grayscale" and d_query.shown_kind == "image"
    return grey or not isinstance(encoder, SheetEncoder)
