"""Whether a library that opens files by name read what it may read.

TensorStore opens the files of chunks itself and follows links. What it read counts only if no
folder on the way to the files changed from the time at which the way was checked until after the
read: whatever takes the place of a file or a folder changes the folder that it is in.
"""

from __future__ import annotations

import time
from collections import ChainMap
from typing import TYPE_CHECKING

from bfly.storage.files import seen_at, stamp_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.storage.files import Files, Stamp

    Folders = Mapping[str, Stamp]

__all__ = ["LinkGuard"]

TICK, COARSE_TICK = 10**8, 2 * 10**9
"""Nanoseconds after which a further change of a folder surely shows in its time of change.

Two changes within one tick of a file system's clock look like one. Linux has ticks of up to 10 ms.
Where times are whole seconds, as on FAT, a tick is up to 2 s.
"""

KNOWN = 65_536
"""Paths that are known to lead where they may; more are checked again."""


class LinkGuard:
    """Checks paths under one folder before a read, and that nothing changed after it.

    Parameters
    ----------
    files : Files
        Knows what may be read.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._ways: dict[str, Folders] = {}
        self._seen: set[str] = set()
        self._links: set[str] = set()

    @property
    def is_full(self) -> bool:
        """Whether so many paths are known that a new guard should take over."""
        return len(self._seen) + len(self._ways) > KNOWN

    def before(self, paths: Sequence[str]) -> Folders | None:
        """Check where paths lead.

        Returns
        -------
        mapping or None
            The folders on the way, for `holds` after the read. None if one of them changed so
            recently that a further change might not be noticed.

        Raises
        ------
        NotAllowed
            A path leads outside the allowed folders.
        """
        found: list[Folders] = []
        for folder in dict.fromkeys(path[: path.rindex("/")] for path in paths):
            way = self._way(folder)
            if way is None:
                return None
            found.append(way)
        # Only now: from here on, what takes the place of a file shows in its folder.
        for path in paths:
            if path not in self._seen:
                if seen_at(path)[1]:
                    self._links.add(path)
                self._seen.add(path)
            if path in self._links:
                way = self._way(path)
                if way is None:
                    return None
                found.append(way)
        return found[0] if len(found) == 1 else dict(ChainMap(*map(dict, found)))

    def holds(self, folders: Folders) -> bool:
        """Return whether folders are as they were when the way through them was checked."""
        return all(stamp_of(folder) == stamp for folder, stamp in folders.items())

    def _way(self, path: str) -> Folders | None:
        """Return the folders on the way to a file or folder, the folder itself among them."""
        way = self._ways.get(path)
        if way is None:
            now = time.time_ns()
            real, folders = self._files.trail(path)
            way = {folder: stamp_of(folder) for folder in (*folders, real)}
            if not all(_is_settled(stamp, now) for stamp in way.values()):
                return None
            # The first one counts, which is older than what was seen in the folder.
            way = self._ways.setdefault(path, way)
        return way


def _is_settled(stamp: Stamp, now: int) -> bool:
    """Return whether any change from now on will differ from the last one of a folder."""
    if stamp is None:
        return True
    tick = TICK if stamp[3] % 10**9 else COARSE_TICK
    return stamp[3] < now - tick
