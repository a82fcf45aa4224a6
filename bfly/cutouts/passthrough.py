"""Pass-through: a stored chunk that is the answer, byte for byte, is sent as it is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly import registry
from bfly.encoders.sheet import SheetEncoder
from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.cutouts.request import CutoutRequest
    from bfly.sources.encoded_chunks import StoredAs

__all__ = ["Passed", "passed"]

Passed = tuple[bytes, str]
"""The stored bytes, and their content coding or ""."""


def passed(request: CutoutRequest, codings: Sequence[str]) -> Passed | None:
    """Return the answer to a request as it is stored: this is the one rule for that.

    Parameters
    ----------
    request : CutoutRequest
        What is asked.
    codings : sequence of str
        The content codings that the client takes.

    Returns
    -------
    Passed or None
        None unless all of this is so: the mip is stored, and its sections are those asked for;
        the chunks are in the format that is asked for, compressed with a coding that the client
        accepts; a picture is asked for as it is, not in colours; no edit counts; the box is
        one chunk, cut off at most by the volume's end; and the source vouches for the chunk.

    Raises
    ------
    SourceError, NotAllowed
        As `Datasource.read_encoded`.
    """
    region = request.region
    source, level, box = region.volume.source, region.level, region.local
    if not level.is_stored or request.sections != 1 or not request.plain:
        return None
    ways = (way for way in source.stored_as(level.mip) if _is_wanted(way, request, codings))
    way = next(ways, None)
    if way is None or (request.state and request.state.position):
        return None
    index = box.in_tiles(level.scale.chunk).start
    chunk = BoundingBox.of_shape((1, 1, 1), index).refined(level.scale.chunk) & level.scale.box
    if box != chunk or not box.size:
        return None
    data = source.read_encoded(level.mip, index, way)
    return None if data is None else (data, way.coding)


def _is_wanted(way: StoredAs, request: CutoutRequest, codings: Sequence[str]) -> bool:
    """Return whether chunks are stored in the wanted format and a coding the client accepts."""
    encoder = request.encoder
    if way.coding not in ("", *codings):
        return False
    if not isinstance(encoder, registry.load("encoders", way.format)):
        return False
    grey = request.view == "grayscale" and request.shown_kind == "image"
    return grey or not isinstance(encoder, SheetEncoder)
