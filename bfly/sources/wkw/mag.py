"""A folder of WKW files: one mag of a layer."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.errors import SourceChanged, SourceError
from bfly.geometry import BoundingBox, indexes, zyx
from bfly.sources.source import served_dtype
from bfly.sources.webknossos.level import Level
from bfly.sources.wkw.blocks import read_box
from bfly.sources.wkw.file import File
from bfly.sources.wkw.header import LENGTH, parsed
from bfly.storage.files import read_exactly
from bfly.storage.limits import FILES, METADATA, check_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

    from bfly.geometry import Zyx
    from bfly.storage.files import Files, Stamp

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["HEADER", "WkwMag"]

HEADER = "header.wkw"

BLOCKS = 1 << 18
"""Most blocks that are read at once: each takes microseconds, however small it is."""


class WkwMag(Level):
    """The files ``zZ/yY/xX.wkw`` of a folder with ``header.wkw``.

    A file that is not there is blank (the Rust library of the format).

    Parameters
    ----------
    folder : str
        The mag.
    files : Files
        Access to its files.
    watch : callable
        Called with the path of each file before it is read; returns its recorded state.
    channel : int
        Index of the served value of each voxel.
    """

    def __init__(
        self, folder: str, files: Files, watch: Callable[[str], Stamp], channel: int = 0
    ) -> None:
        self._folder, self._files, self._watch = folder, files, watch
        path = f"{folder}/{HEADER}"
        watch(path)
        try:
            self.header = parsed(files.read_bytes(path, METADATA), path, files.max_chunk)
        except FileNotFoundError:
            raise SourceError(f"{folder} has no {HEADER}.") from None
        self.dtype = served_dtype(self.header.stored, path)
        self.chunk = (self.header.side,) * 3
        self._channel = channel

    @override
    def extent(self) -> BoundingBox:
        names = _found(self._folder, self._files)
        if not names:
            raise SourceError(
                f"{self._folder} has no files of blocks, z0/y0/x0.wkw, and no "
                "datasource-properties.json says how large the layer is."
            )
        first = zyx(map(min, zip(*names, strict=True)))
        last = zyx(max(along) + 1 for along in zip(*names, strict=True))
        return BoundingBox(first, last).refined((self.header.length,) * 3)

    @override
    def covers(self, box: BoundingBox) -> bool:
        return min(box.start) >= 0

    @override
    def reads_at_once(self, box: BoundingBox) -> bool:
        # Unpacking a block takes microseconds, a tile in the cache takes more.
        return box.in_tiles((self.header.side,) * 3).size <= BLOCKS

    @override
    def changed(self) -> str | None:
        return None

    @override
    def all_files(self) -> Iterable[str]:
        for folder, folders, names in os.walk(self._folder):
            folders.sort()
            yield from (os.path.join(folder, name) for name in sorted(names))

    @override
    def read_into(self, box: BoundingBox, voxels: Voxels) -> None:
        side, length = self.header.side, self.header.length
        check_number(self._folder, box.in_tiles((side,) * 3).size, BLOCKS, "blocks in a part")
        for index in indexes(box.in_tiles((length,) * 3)):
            place = BoundingBox.of_shape((1, 1, 1), index).refined((length,) * 3)
            part = place & box
            self._read_file(
                index, part.relative_to(place.start), voxels[part.relative_to(box.start).slices]
            )

    def _read_file(self, index: Zyx, box: BoundingBox, voxels: Voxels) -> None:
        """Read a box of a file, counted from its first voxel."""
        z, y, x = index
        path = f"{self._folder}/z{z}/y{y}/x{x}.wkw"
        stamp = self._watch(path)
        if stamp is None:
            self._check_missing(path)
            voxels[...] = 0
            return
        with self._files.open(path) as (fd, opened):
            if opened is None or opened != stamp:
                raise SourceChanged(f"{path} changed on disk while it was read.")
            head = read_exactly(fd, LENGTH, 0, path)
            file = File(fd, opened[1], path, parsed(head, path, self._files.max_chunk))
            self._check(file)
            read_box(file, box, self._channel, voxels)

    def _check_missing(self, path: str) -> None:
        """Raise the reason if a file without a state is there, but cannot be read."""
        try:
            self._files.file(path).close()
        except FileNotFoundError:
            return
        raise SourceChanged(f"{path} changed on disk while it was read.")

    def _check(self, file: File) -> None:
        """Raise `SourceError` unless a file is whole, and of the same kind as the folder's."""
        for name in ("side", "count", "stored", "channels"):
            own, usual = getattr(file.header, name), getattr(self.header, name)
            if own != usual:
                raise SourceError(f"{file.path}: its {name} is {own}; {HEADER} says {usual}.")
        file.check()


def _found(folder: str, files: Files) -> list[Zyx]:
    """Return the index (z, y, x) of each file of blocks in a folder."""
    found: list[Zyx] = []
    for z in _numbers(folder, files, r"z(\d{1,9})"):
        for y in _numbers(f"{folder}/z{z}", files, r"y(\d{1,9})"):
            numbers = _numbers(f"{folder}/z{z}/y{y}", files, r"x(\d{1,9})\.wkw")
            found += [(z, y, x) for x in numbers]
            check_number(folder, len(found), FILES, "files of blocks")
    return found


def _numbers(folder: str, files: Files, pattern: str) -> list[int]:
    """Return the numbers in the names of a folder's entries."""
    with files.folder(folder) as fd, os.scandir(fd) as listing:
        matches = (re.fullmatch(pattern, entry.name) for entry in listing)
        return [int(match[1]) for match in matches if match]
