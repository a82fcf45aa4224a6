"""Check that a library which opens files by name read only allowed files.

TensorStore opens the files of chunks itself and follows links. What it read is used only if no
folder on the path to the files changed between the check and the end of the read.
Replacing a file or a folder changes its parent folder.
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
"""Nanoseconds after which a further change of a folder is sure to alter its change time.

Two changes within one tick of a file system's clock look like one. Linux has ticks of up to 10 ms.
Where times are whole seconds, as on FAT, a tick is up to 2 s.
"""

KNOWN = 65_536
"""Checked paths that are remembered; beyond that, a new guard checks all again."""


class LinkGuard:
    """Check of paths under one folder before a read, and of changes after it.

    Parameters
    ----------
    files : Files
        Decides which files may be read.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._ways: dict[str, Folders] = {}
        self._seen: set[str] = set()
        self._links: set[str] = set()

    @property
    def is_full(self) -> bool:
        """Whether so many paths are remembered that a new guard should take over."""
        return len(self._seen) + len(self._ways) > KNOWN

    def before(self, paths: Sequence[str]) -> Folders | None:
        """Check that paths lead to allowed files.

        Returns
        -------
        mapping or None
            The folders on the paths, for `holds` after the read. None if one of them changed so
            recently that a further change might go unnoticed.

        Raises
        ------
        NotAllowed
            A path leads outside the allowed folders.
        """
        ways: list[Folders] = []
        for folder in dict.fromkeys(path[: path.rindex("/")] for path in paths):
            way = self._way(folder)
            if way is None:
                return None
            ways.append(way)
        # After the folders: from here on, replacing a file changes a recorded folder.
        for path in paths:
            if path not in self._seen:
                if seen_at(path)[1]:
                    self._links.add(path)
                self._seen.add(path)
            if path in self._links:
                way = self._way(path)
                if way is None:
                    return None
                ways.append(way)
        return ways[0] if len(ways) == 1 else dict(ChainMap(*map(dict, ways)))

    def holds(self, folders: Folders) -> bool:
        """Return whether folders are unchanged since the check of the path through them."""
        return all(stamp_of(folder) == stamp for folder, stamp in folders.items())

    def _way(self, path: str) -> Folders | None:
        """Return the folders on the path to a file or folder, including that folder."""
        way = self._ways.get(path)
        if way is None:
            now = time.time_ns()
            real, folders = self._files.trail(path)
            way = {folder: stamp_of(folder) for folder in (*folders, real)}
            if not all(_is_settled(stamp, now) for stamp in way.values()):
                return None
            # Keep the first record, which is older than any check inside the folder.
            way = self._ways.setdefault(path, way)
        return way


def _is_settled(stamp: Stamp, now: int) -> bool:
    """Return whether a folder's next change is sure to alter its change time."""
    if stamp is None:
        return True
    tick = TICK if stamp[3] % 10**9 else COARSE_TICK
    return stamp[3] < now - tick
