"""Image stack: a folder of image files, one for each section."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from natsort import natsorted
from typing_extensions import override

from bfly.errors import Busy, SourceError
from bfly.geometry import Scale
from bfly.sources.mojo import Mojo
from bfly.sources.shared.images import EXTENSIONS, has_colours, header, is_image
from bfly.sources.shared.missing_sections import name_gaps
from bfly.sources.shared.tile_files import TileGrid, by
from bfly.storage.files import reading, regular
from bfly.storage.limits import PAGES, check_number
from bfly.storage.opening import as_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["ImageStack"]


class ImageStack(TileGrid):
    """A folder of PNG, JPEG or TIFF files; z follows the natural order of their names.

    The first section defines the size of all sections. Reading one of another size or dtype is
    an error; the others are served. Colours follow the rule of `bfly.sources.shared.images`.
    """

    name = "stack"

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether a file named as an image begins as one; Mojo is not a stack."""
        try:
            return not Mojo.guess_can_open(path) and any(
                _starts_as_image(os.path.join(path, name)) for name in _image_names(path)
            )
        except OSError as error:
            if isinstance(short := as_error(error, path), Busy):
                raise short from error
            return False
        except ValueError:
            return False

    def _open(self) -> None:
        self._watch(self.path)
        try:
            with self.files.folder(self.path) as folder, reading(self.path):
                names = _image_names(folder)
        except FileNotFoundError:
            raise SourceError(f"{self.path} does not exist.") from None
        check_number(self.path, len(names), PAGES, "images")
        # Otherwise names that are equal as numbers (1.png, 01.png) keep the disk's order.
        self._names = natsorted(sorted(names))
        if not self._names:
            raise SourceError(f"{self.path} has no image; allowed are {', '.join(EXTENSIONS)}.")
        first = os.path.join(self.path, self._names[0])
        data, limit = self._read_file(first), self.files.max_chunk
        labels = self._kind == "segmentation"
        shape, self.dtype = header(data, first, labels=labels, limit=limit)
        self._has_colours = has_colours(data, first, limit)
        self._check_pages(shape, first)
        self.scales = {0: Scale((len(self._names), *shape[1:]), shape)}

    @override
    def all_files(self) -> Iterable[str]:
        return (os.path.join(self.path, name) for name in self._names)

    @override
    def gaps(self) -> Iterable[str]:
        return name_gaps(self._names)

    def _tile_path(self, mip: int, index: Zyx) -> str:
        return os.path.join(self.path, self._names[index[0]])

    def _read_file(self, path: str) -> bytes:
        data = super()._read_file(path)
        if data is None:
            raise SourceError(f"{path} does not exist any more, or is a broken link.")
        return data

    def _check(self, tile: NDArray[Any], need: Zyx, path: str) -> None:
        self._check_pages(tile.shape, path)
        if tile.shape != need:
            raise SourceError(
                f"{path} is {by(tile.shape[1:])} voxels, the stack's sections are {by(need[1:])}."
            )
        if tile.dtype != self.dtype:
            raise SourceError(f"{path} holds {tile.dtype} voxels, the stack's are {self.dtype}.")

    def _check_pages(self, shape: tuple[int, ...], path: str) -> None:
        if shape[0] != 1:
            raise SourceError(f"{path} has {shape[0]} pages; in a stack one file is one section.")


def _image_names(folder: str | int) -> list[str]:
    """Return the names of the images in a folder, given by its path or descriptor.

    Files that begin with a dot are skipped.
    """
    with os.scandir(folder) as entries:
        return [
            entry.name
            for entry in entries
            if entry.name.lower().endswith(tuple(f".{end}" for end in EXTENSIONS))
            and not entry.name.startswith(".")
            and not entry.is_dir()
        ]


def _starts_as_image(path: str) -> bool:
    try:
        with regular(path) as file:
            return is_image(file.read(8))
    except OSError:
        return False
