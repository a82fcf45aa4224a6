"""Files of stored meshes, skeletons and annotations: whole if they are small, else in parts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bfly.concurrency.admission import take
from bfly.cutouts.streamed import Stream
from bfly.sources.precomputed.packed import CODINGS
from bfly.sources.shared.objects import read_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bfly.concurrency.budget import Budget
    from bfly.cutouts.passthrough import Passed
    from bfly.sources.precomputed.layers import StoredFile, StoredLayers
    from bfly.volumes.volume import Volume

__all__ = ["passed_file"]

WHOLE = 1 << 20
"""Bytes of the largest object that is sent from memory, unless it is stored compressed."""

PIECE = 256 << 10
"""Bytes that are read at once of a larger one."""


def passed_file(
    volume: Volume, path: str, media_type: str, codings: Sequence[str], budget: Budget
) -> Passed | Stream | None:
    """Return a file of a layer that is stored with a volume; None if there is none.

    Parameters
    ----------
    volume : Volume
        The volume.
    path : str
        Path of the file below the volume.
    media_type : str
        For ``Content-Type``.
    codings : sequence of str
        The content codings that the client accepts. A compressed file is sent as it is stored if
        its coding is among them.
    budget : Budget
        Memory of the answers under way.

    Raises
    ------
    SourceError, NotAllowed
        As `StoredLayers.find` and `StoredLayers.decoded`.
    """
    layers = volume.source.layers
    file = layers.find(path) if layers else None
    if layers is None or file is None:
        return None
    found, coding = file.found, CODINGS.get(file.ending, "")
    if not file.ending and (found.size is None or found.size > WHOLE):
        return _stream(layers, file, media_type, volume.spec.path)
    if coding in codings:
        take(budget, found.size or 0)
        return layers.read(file), coding
    take(budget, (found.size or 0) + (layers.unpacked_size(file) if file.ending else 0))
    return layers.decoded(file), ""


def _stream(layers: StoredLayers, file: StoredFile, media_type: str, group: str) -> Stream:
    found = file.found
    read = partial(read_object, layers.store, found)

    def parts(start: int) -> Iterator[bytes]:
        while part := read(start, start + PIECE):
            yield part
            start += len(part)

    etag = b'"%s"' % found.tag.encode() if found.tag else b""
    return Stream(
        parts=parts, part=read, media_type=media_type, size=found.size, etag=etag, group=group
    )
