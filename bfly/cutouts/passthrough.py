"""Pass-through: a stored chunk that equals the answer is sent byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly import registry
from bfly.cutouts.patched import finest
from bfly.encoders.sheet import SheetEncoder
from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.cutouts.request import CutoutRequest
    from bfly.sources.encoded_chunks import StoredAs

__all__ = ["Passed", "passed"]

Passed = tuple[bytes, str]
"""Stored bytes, and their content coding or ""."""


def passed(request: CutoutRequest, codings: Sequence[str]) -> Passed | None:
    """Return the answer to a request as it is stored. This is the only rule for pass-through.

    Parameters
    ----------
    request : CutoutRequest
        The request.
    codings : sequence of str
        The content codings that the client accepts.

    Returns
    -------
    Passed or None
        None unless all of these hold. The mip is stored, and the request counts its sections.
        The chunks have the requested format, compressed with a coding that the client accepts.
        An image is requested in its own grey values, not in colours. No edit applies: if segments
        are requested, the channel has none, and otherwise no patch touches the box. The box is one
        chunk, clipped at most by the volume. The source can return it as stored.

    Raises
    ------
    SourceError, NotAllowed
        As `Datasource.read_encoded`.
    """
    region = request.region
    source, level, box = region.volume.source, region.level, region.local
    if not level.is_stored or request.sections != 1 or not request.plain:
        return None
    ways = [way for way in source.stored_as(level.mip) if _is_wanted(way, request, codings)]
    if not ways or _is_edited(request):
        return None
    index = box.in_tiles(level.scale.chunk).start
    chunk = BoundingBox.of_shape((1, 1, 1), index).refined(level.scale.chunk) & level.scale.box
    if box != chunk or not box.size:
        return None
    for way in ways:
        data = source.read_encoded(level.mip, index, way)
        if data is not None:
            return data, way.coding
    return None


def _is_edited(request: CutoutRequest) -> bool:
    """Return whether edits may change a label of the box."""
    state, region = request.state, request.region
    if state is None or not state.position:
        return False
    return state.patched is not state or bool(state.patches.touching(finest(region, region.local)))


def _is_wanted(way: StoredAs, request: CutoutRequest, codings: Sequence[str]) -> bool:
    """Return whether chunks have the requested format and a coding the client accepts."""
    encoder = request.encoder
    if way.coding not in ("", *codings):
        return False
    if not isinstance(encoder, registry.load("encoders", way.format)):
        return False
    grey = request.view == "grayscale" and request.shown_kind == "image"
    return grey or not isinstance(encoder, SheetEncoder)
