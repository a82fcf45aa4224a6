"""Groups and attributes of Imaris files, read with links followed inside ``allowed-paths``.

The format: https://imaris.oxinst.com/support/imaris-file-format. The voxels of level L, time T and
channel C are ``DataSet/ResolutionLevel L/TimePoint T/Channel C/Data``. Attributes are arrays of
characters. Root attributes may give ``DataSet`` and ``DataSetInfo`` other names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import h5py
import numpy as np

from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.hdf5.attributes import attributes_of
from bfly.sources.hdf5.file import follow, open_h5

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from bfly.geometry import Zyx
    from bfly.storage.files import Files

__all__ = ["Layout"]

DIRECTORIES = {"DataSetDirectoryName": "DataSet", "DataSetInfoDirectoryName": "DataSetInfo"}
"""Root attributes with names of groups, and the usual names."""

SHOWN = 16
"""Maximum number of channels of which the log has the names."""


class Layout:
    """Groups of one file.

    Parameters
    ----------
    files : Files
        Access to files.
    path : str
        The file.
    watch : callable
        Called with the path of each file before the file is opened.

    Attributes
    ----------
    levels, times, channels : list of int
        The numbers of the groups, sorted. The channels are those of the first time.
    images : str
        How many images the file holds, of which the first is `levels`.

    Raises
    ------
    SourceError, NotAllowed
        The file cannot be opened, or it has no channel.
    """

    def __init__(self, files: Files, path: str, watch: Callable[[str], None]) -> None:
        self._files, self.path, self._watch = files, path, watch
        watch(path)
        stated = self.attributes("", (*DIRECTORIES, "NumberOfDataSets"))
        self.data, self._info = (stated.get(key, name) for key, name in DIRECTORIES.items())
        self.images = stated.get("NumberOfDataSets", "1")
        self.levels = self.numbers(self.data, "ResolutionLevel")
        self.times = self.numbers(f"{self.data}/ResolutionLevel 0", "TimePoint")
        first = f"{self.data}/ResolutionLevel 0/TimePoint {self.times[0] if self.times else 0}"
        self.channels = self.numbers(first, "Channel")
        if 0 not in self.levels or not self.channels:
            raise SourceError(
                f"{path} has no group {self.data}/ResolutionLevel 0 with a TimePoint and a "
                "Channel, as an Imaris file has."
            )

    def numbers(self, group: str, word: str) -> list[int]:
        """Return the numbers of the members ``WORD n`` of a group, sorted; none without the group.

        Parameters
        ----------
        group : str
            Path of the group below the root.
        word : str
            ``ResolutionLevel``, ``TimePoint`` or ``Channel``.
        """
        pattern = re.compile(rb"%s (\d{1,9})" % word.encode())
        found: list[int] = []

        def note(name: bytes, _info: Any) -> None:
            if match := pattern.fullmatch(name):
                found.append(int(match[1]))

        target = follow(self._files, self.path, group, self._watch)
        if target is None or target[1]:
            return []
        with open_h5(self._files, target[0].path) as (file, _):
            members = file[target[0].name].id
            members.links.iterate(note, info=True)
        return sorted(found)

    def attributes(self, group: str, names: Iterable[str]) -> dict[str, str]:
        """Return attributes of a group as text; those that are missing are left out."""
        target = follow(self._files, self.path, group, self._watch)
        if target is None:
            return {}
        with open_h5(self._files, target[0].path) as (file, _):
            found = attributes_of(file[target[0].name], names)
        return {name: text for name, value in found.items() if (text := _text(value))}

    def info(self, group: str, names: Iterable[str]) -> dict[str, str]:
        """Return attributes of a group of ``DataSetInfo``, such as ``Image``."""
        return self.attributes(f"{self._info}/{group}", names)

    def channel(self, level: int, time: int, channel: int) -> str:
        """Return the path of the group of a channel."""
        return f"{self.data}/ResolutionLevel {level}/TimePoint {time}/Channel {channel}"

    @property
    def names(self) -> dict[int, str]:
        """Names of the channels that have one, by number."""
        named = {n: self.info(f"Channel {n}", ("Name",)) for n in self.channels[:SHOWN]}
        return {n: stated["Name"] for n, stated in named.items() if stated}

    def sizes(self, level: int, time: int, channel: int) -> Zyx | None:
        """Return the shape (z, y, x) of a channel without its padding; None if none is stated.

        Raises
        ------
        SourceError
            It is no three whole numbers.
        """
        group = self.channel(level, time, channel)
        names = tuple(f"ImageSize{axis}" for axis in "ZYX")
        stated = self.attributes(group, names)
        if not stated and level == 0:
            group, names = "its Image", ("Z", "Y", "X")
            stated = self.info("Image", names)
        if not stated:
            return None
        try:
            return zyx(int(stated[name]) for name in names)
        except (KeyError, ValueError):
            raise SourceError(
                f"{self.path}: {group} states {stated}; needed are {', '.join(names)}, whole "
                "numbers from 1."
            ) from None


def _text(value: Any) -> str:
    """Return an attribute, stored as characters, a string or a number, as text."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "S":
        value = b"".join(value.ravel().tolist())
    elif isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size == 1 else ""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            # µ of Windows-1252 and ISO 8859-1.
            value = value.decode("latin-1")
    return "" if isinstance(value, h5py.Empty) else str(value).strip("\0 ")
