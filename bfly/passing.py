"""When a stored chunk is the answer, byte for byte, it is sent as it lies on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly import registry
from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.queries.data import DataQuery

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
    volume, mip = d_query.volume, d_query.resolution
    stored, level = volume.source.stored_as, volume.level(mip)
    if stored is None or level.stored != mip or d_query.sections != 1 or not d_query.plain:
        return None
    if stored.coding not in ("", *codings):
        return None
    if not isinstance(d_query.encoder, registry.load("encoders", stored.format)):
        return None
    grey = d_query.view == "grayscale" and d_query.shown_kind == "image"
    if (stored.format != "raw" and not grey) or (d_query.state and d_query.state.position):
        return None
    box = d_query.box.relative_to(level.origin)
    index = box.in_tiles(level.scale.chunk).start
    chunk = BoundingBox.of_shape((1, 1, 1), index).refined(level.scale.chunk) & level.scale.box
    if box != chunk or not box.size:
        return None
    data = volume.source.read_encoded(mip, index)
    return None if data is None else (data, stored.coding)
