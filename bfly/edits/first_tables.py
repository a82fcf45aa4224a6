"""Edits of the first Butterfly, which become the beginning of a channel's log.

It kept the tables of the channel ``/data/seg`` in its folder of edits, as
``data/seg.merge.npy`` and ``data/seg.split.npy`` (see `bfly.edits.files`).
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from bfly.edits.files import MERGE, read_table
from bfly.edits.merge_table import added
from bfly.edits.message import Save
from bfly.errors import BadRequest, SourceError

if TYPE_CHECKING:
    from bfly.edits.channel import ChannelEdits
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

__all__ = ["begin"]

log = logging.getLogger(__name__)

AUTHOR = "first Butterfly"


def begin(channel: ChannelEdits, folder: str) -> None:
    """Append the tables of the first Butterfly to a log, if they exist and the log is empty.

    Parameters
    ----------
    channel : ChannelEdits
        The channel with the log.
    folder : str
        The folder of edits of the first Butterfly.

    Raises
    ------
    SourceError
        A table cannot be read.
    DatabaseError
        The log cannot be read or written.
    """
    path = os.path.join(folder, channel.path.strip(os.sep)) + MERGE
    if channel.state.position or not os.path.exists(path):
        return
    supervoxels, segments, splits = read_table(path)

    def operations(state: EditState) -> list[Operation]:
        if state.position:
            return []
        merges = added(supervoxels, segments, AUTHOR)(state)
        regions = Save((), splits).operations(state, AUTHOR, None)
        return [*merges, *(replace(region, id=region.id + len(merges)) for region in regions)]

    try:
        channel.append(operations)
    except BadRequest as error:
        raise SourceError(f"{path} cannot be used: {error}") from error
    log.info(
        "The edits of %s begin with %d rows and %d splits of the first Butterfly, from %s",
        channel.path,
        len(supervoxels),
        len(splits),
        path,
    )
