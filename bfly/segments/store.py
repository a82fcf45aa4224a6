"""Store of the label indexes of channels, each valid for one state of the files."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from bfly.segments.building import PIECES, Build
from bfly.segments.index import ABOUT, Index
from bfly.segments.posting import CELL, POSTING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.volumes.volume import Volume

__all__ = ["Indexes"]

log = logging.getLogger(__name__)

VERSION = 2
"""Version of the format of an index: a change invalidates all of them."""

NAME = "labels"
"""Folder of the indexes within the store of computed mips."""


TOUCH = 60.0
"""Seconds after which the use of an index is noted again, by the time of its file."""


class Indexes:
    """Folder of the indexes of any number of channels, shared by the processes of a machine.

    Parameters
    ----------
    folder : str
        The store of computed mips. The indexes are in its folder `NAME`.
    size : int
        Bytes of all indexes. The least recently used ones are removed first.
    """

    def __init__(self, folder: str, size: int) -> None:
        self.folder = os.path.join(folder, NAME)
        self._size = size
        self._opened: dict[str, Index] = {}
        self._touched: dict[str, float] = {}
        self._opening = threading.Lock()

    def build(self, volume: Volume) -> Build | None:
        """Return how the index of a channel is built; None if its changes go unnoticed.

        That is so behind a URL.
        """
        source, state = volume.source, volume.state
        if not state:
            return None
        facts = (
            *(VERSION, CELL, str(POSTING), os.path.realpath(source.path), str(source.part)),
            *(state, volume.dtype.str, source.scales[0].shape),
        )
        digest = hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()[:32]
        files = source.files
        return Build(
            volume.spec,
            os.path.join(self.folder, digest[:2], digest),
            state,
            tuple(files.allowed),
            files.max_chunk,
        )

    def open(self, build: Build) -> Index | None:
        """Return the index of a channel; None if it is not built yet.

        Raises
        ------
        SourceError
            It is damaged.
        """
        about = os.path.join(build.folder, ABOUT)
        with self._opening:
            if not os.path.exists(about):
                self._opened.pop(build.folder, None)
                return None
            if build.folder not in self._opened:
                self._opened[build.folder] = Index(build.folder)
            if time.monotonic() >= self._touched.get(build.folder, 0) + TOUCH:
                self._touched[build.folder] = time.monotonic()
                with suppress(OSError):  # a folder that is only read
                    os.utime(about)
            return self._opened[build.folder]

    def trim(self, kept: str) -> None:
        """Remove the least recently used indexes beyond the size of the store.

        Parameters
        ----------
        kept : str
            Folder of an index that stays in any case.
        """
        total, found = 0, []
        for folder in self._folders():
            used, size = _use_of(folder)
            total += size
            found.append((used, size, folder))
        for _, size, folder in sorted(found):
            if total <= self._size:
                break
            if folder != kept:
                # Without this file it is no index: one that is removed in part is never opened.
                with suppress(OSError):
                    os.unlink(os.path.join(folder, ABOUT))
                shutil.rmtree(folder, ignore_errors=True)
                total -= size
                log.info("The index in %s is removed: the store is full", folder)

    def _folders(self) -> Iterator[str]:
        for path, folders, _ in os.walk(self.folder):
            if path != self.folder:
                yield from (os.path.join(path, name) for name in folders)
                folders.clear()


def _use_of(folder: str) -> tuple[float, int]:
    """Return when an index was last used or built on, and its bytes."""
    used, size = 0.0, 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.stat(os.path.join(path, name))
            except OSError:
                continue
            size += status.st_size
            if name == ABOUT or os.path.basename(path) == PIECES:
                used = max(used, status.st_mtime)
    return used, size
