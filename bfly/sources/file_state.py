"""The files of a channel, and whether they are as they were when they were read."""

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
"""How many of the files that were read last are watched for changes."""


class Watched:
    """Remembers the states of files; the base of `Datasource`.

    Parameters
    ----------
    path : str
        What the channel's ``path`` names: a file or a folder.
    """

    _read_at_first: tuple[str, ...] = ()
    """The files that were read to open the channel."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._stamps: OrderedDict[str, Stamp] = OrderedDict()
        self._stamps_lock = threading.Lock()

    def _watch(self, path: str) -> None:
        """Remember the state that a file is in; call it before the file is read."""
        if path not in self._stamps:
            self._remember({path: stamp_of(path)})

    def _remember(self, stamps: Mapping[str, Stamp]) -> None:
        """Remember the states that files were in before they are read."""
        with self._stamps_lock:
            for path, stamp in stamps.items():
                self._stamps.setdefault(path, stamp)
            while len(self._stamps) > WATCHED:
                self._stamps.popitem(last=False)

    def changed(self) -> str | None:
        """Give the first of the files read so far that is not as it was, None if all are."""
        with self._stamps_lock:
            stamps = list(self._stamps.items())
        return next((path for path, stamp in stamps if stamp_of(path) != stamp), None)

    def all_files(self) -> Iterable[str]:
        """Give every file that voxels may be read from, also one that is not there.

        Unless a source knows better, these are the files that were read to open it and, where
        the channel is a folder, all that lie below it.
        """
        yield from self._read_at_first
        for folder, folders, names in os.walk(self.path):
            folders.sort()
            for name in sorted(names):
                yield os.path.join(folder, name)

    def state(self) -> str | None:
        """Give what tells this state of the channel's files from every other one.

        None where nobody would notice that they changed: behind a URL.

        Raises
        ------
        SourceChanged
            A file is not as it was when voxels were read from it.
        """
        if is_url(self.path):
            return None
        state = hashlib.sha256()
        for path in self.all_files():
            state.update(f"{path}\0{stamp_of(path)}\0".encode(errors="surrogateescape"))
        if changed := self.changed():
            raise SourceChanged(f"{changed} changed on disk while it was read.")
        return state.hexdigest()
