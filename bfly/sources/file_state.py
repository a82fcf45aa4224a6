"""Files of a channel, and whether they changed since they were read."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from bfly.errors import SourceChanged
from bfly.storage.files import is_url, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bfly.storage.files import Stamp

__all__ = ["Watched"]

WATCHED = 65_536
"""Files that are watched for changes: those that were read last."""


class Watched:
    """Record of the states of files; the base of `Datasource`.

    Parameters
    ----------
    path : str
        The channel's ``path``: a file or a folder.
    part : str
        The part of it that is the channel.
    """

    _read_at_first: tuple[str, ...] = ()
    """Files that were read to open the channel."""

    def __init__(self, path: str, part: str = "") -> None:
        self.path = path
        self._part = part
        self._stamps: OrderedDict[str, Stamp] = OrderedDict()
        self._stamps_lock = threading.Lock()

    def _watch(self, path: str) -> None:
        """Record the state of a file; call this before the file is read."""
        if path not in self._stamps:
            self._remember({path: stamp_of(path)})

    def _remember(self, stamps: Mapping[str, Stamp]) -> None:
        """Record the states of files, taken before the files are read."""
        with self._stamps_lock:
            for path, stamp in stamps.items():
                self._stamps.setdefault(path, stamp)
            while len(self._stamps) > WATCHED:
                self._stamps.popitem(last=False)

    def changed(self) -> str | None:
        """Return the first file that changed since it was read, None if none did."""
        with self._stamps_lock:
            stamps = list(self._stamps.items())
        return next((path for path, stamp in stamps if stamp_of(path) != stamp), None)

    def all_files(self) -> Iterable[str]:
        """Yield every file that voxels may be read from, including missing ones.

        By default, these are the files that were read to open the channel and, if it is a
        folder, all files below it.
        """
        yield from self._read_at_first
        for folder, folders, names in os.walk(self.path):
            folders.sort()
            for name in sorted(names):
                yield os.path.join(folder, name)

    def state(self) -> str | None:
        """Return a hash of the current state of the channel's files.

        None for a URL, behind which a change would go unnoticed.

        Raises
        ------
        SourceChanged
            A file changed since voxels were read from it.
        """
        if is_url(self.path):
            return None
        state = hashlib.sha256(self._part.encode(errors="surrogateescape"))
        for path in self.all_files():
            state.update(f"{path}\0{stamp_of(path)}\0".encode(errors="surrogateescape"))
        if changed := self.changed():
            raise SourceChanged(f"{changed} changed on disk while it was read.")
        return state.hexdigest()
