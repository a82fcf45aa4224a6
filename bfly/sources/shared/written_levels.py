"""Levels of a volume that were never written: computed, reported or refused."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["written_levels"]

log = logging.getLogger(__name__)


def written_levels(path: str, what: str, states: Mapping[str, bool | None]) -> list[str]:
    """Return the levels to serve: all but the coarser ones of which nothing was written.

    Those are computed from finer levels instead. A volume of which nothing at all was written
    is served, and reported in the log.

    Parameters
    ----------
    path : str
        Name of the channel in messages.
    what : str
        The parts of a level, such as ``chunks``.
    states : mapping
        Whether a level has such parts, by its name, the finest first; None if that is not known.

    Raises
    ------
    SourceError
        The finest level has none, but a coarser one has.
    """
    full = [name for name, state in states.items() if state]
    empty = [name for name, state in states.items() if state is False]
    if empty and len(empty) == len(states):
        log.warning("%s has no %s: all its voxels are the fill value.", path, what)
    if not full:
        return [*states]
    finest = next(iter(states))
    if finest in empty:
        raise SourceError(f"{path} has no {what} of its finest level, {finest}, but of {full[0]}.")
    for name in empty:
        log.warning("%s: the level %s has no %s; it is computed instead.", path, name, what)
    return [name for name in states if name not in empty]
