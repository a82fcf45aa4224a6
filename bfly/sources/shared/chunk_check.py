"""Whether the files of a level have the names that the metadata of a volume state."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.sources.shared.chunk_keys import ChunkKeys
    from bfly.sources.shared.sample import Sample

__all__ = ["has_chunks"]

log = logging.getLogger(__name__)


def has_chunks(
    path: str, sample: Sample, keys: ChunkKeys, is_there: Callable[[str], bool], expected: str
) -> bool | None:
    """Return whether a level has a chunk; None if that is not certain without a long search.

    A file that has no place in the grid, beside others that have one, is reported in the log.

    Parameters
    ----------
    path : str
        Name of the channel in messages.
    sample : Sample
        Some files of the level, by their names below ``keys.folder``.
    keys : ChunkKeys
        How its chunks are named.
    is_there : callable
        Returns whether there is a file, by its name in the channel.
    expected : str
        Name of a chunk in the channel, for the message.

    Raises
    ------
    SourceError
        A chunk has another name than the metadata state. The message has both.
    """
    is_written, odd, doubled = False, "", ""
    for name in sorted(sample.names):
        right = keys.right(name)
        if name == right:
            is_written = True
        elif not keys.is_like(name):
            continue
        elif right is None:
            odd = odd or name
        elif name.removeprefix(right) in keys.endings:
            is_written = True
            doubled = doubled or (name if is_there(keys.path(right)) else "")
        elif not any(is_there(keys.path(right + ending)) for ending in ("", *keys.endings)):
            raise SourceError(
                f"{path}: {keys.path(right)} is missing, {keys.path(name)} is there instead. "
                "Rename the files, or correct the metadata."
            )
    if odd and not is_written:
        raise SourceError(
            f"{path}: {keys.path(odd)} is there, but no file that the metadata name, such as "
            f"{expected}."
        )
    if odd:
        log.warning("%s: %s is not read: it has no place in the grid.", path, keys.path(odd))
    if doubled:
        log.warning(
            "%s: %s is not read: the same chunk is there without the ending.",
            *(path, keys.path(doubled)),
        )
    return is_written or (False if sample.is_all else None)
