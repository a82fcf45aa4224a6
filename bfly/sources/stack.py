"""Image stack: a folder of image files, one for each section."""

from __future__ import annotations

import logging
import os
from io import BytesIO
from typing import TYPE_CHECKING, Any

from natsort import natsorted
from typing_extensions import override

from bfly.errors import Busy, ButterflyError, SourceError
from bfly.geometry import Scale
from bfly.sources.mojo import Mojo
from bfly.sources.shared.image_names import named
from bfly.sources.shared.images import (
    EXTENSIONS,
    TIFFS,
    decode,
    has_colours,
    header,
    is_image,
    naming,
    stored_floats,
)
from bfly.sources.shared.missing_sections import name_gaps
from bfly.sources.shared.tiff_images import first_page, sample_parts
from bfly.sources.shared.tiff_pages import is_tiff
from bfly.sources.shared.tile_files import TileGrid, by
from bfly.storage.files import reading, regular
from bfly.storage.limits import PAGES, check_number, in_pieces
from bfly.storage.opening import as_error
from bfly.storage.part import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.sources.shared.image_names import Named
    from bfly.storage.files import Files

__all__ = ["ImageStack"]

log = logging.getLogger(__name__)

ENDINGS = tuple(f".{extension}" for extension in EXTENSIONS)

LISTED = 8
"""Most parts that a message lists."""


class ImageStack(TileGrid):
    """A folder of image files; z follows the natural order of their names.

    A folder of several channels, times or formats holds a stack for each, which `part` names (see
    `bfly.sources.shared.image_names`). The first section defines the size of all sections. Reading
    one of another size or dtype is an error; the others are served. Colours follow the rule of
    `bfly.sources.shared.images`.
    """

    name = "stack"
    has_parts = True

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether a file named as an image begins as one; Mojo is not a stack."""
        try:
            return not Mojo.guess_can_open(path) and any(
                _starts_as_image(os.path.join(path, name)) for name in _images(path)
            )
        except OSError as error:
            if isinstance(short := as_error(error, path), Busy):
                raise short from error
            return False
        except ValueError:
            return False

    @classmethod
    @override
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        images = _named(path, files)
        volumes = [*images.volumes]
        if len(volumes) > 1:
            volumes = natsorted(volumes, key=str)
        samples = _samples(os.path.join(path, images.volumes[volumes[0]][0]), files)
        indexes = [part.indexes for part in sample_parts(samples, path)]
        return [Part("", (*part.indexes, *more)) for part in volumes for more in indexes]

    def _open(self) -> None:
        self._watch(self.path)
        images = _named(self.path, self.files)
        self._say(images)
        # Otherwise names that are equal as numbers (1.png, 01.png) keep the disk's order.
        self._names = natsorted(sorted(self._of_part(images)))
        first = os.path.join(self.path, self._names[0])
        data = self._read_file(first)
        self._is_inverted = False
        if is_tiff(data):
            with naming(first):
                page = first_page(BytesIO(data))
            self._is_inverted = page.is_inverted
            for remark in page.remarks:
                log.warning("%s %s.", first, remark)
        shape, self.dtype = header(
            data,
            first,
            labels=self._kind == "segmentation",
            limit=self.files.max_chunk,
            sample=self.part.of_axis("s"),
        )
        self._has_colours = has_colours(data, first, self.files.max_chunk, self.part.of_axis("s"))
        limit, sample = self.files.max_chunk, self.part.of_axis("s")
        self._stored_dtype = stored_floats(data, first, limit, sample)
        self._check_pages(shape, first)
        self.scales = {0: Scale((len(self._names), *shape[1:]), shape)}

    def _say(self, images: Named) -> None:
        """Log what the names of the images leave in doubt."""
        for doubt in images.doubts:
            log.warning(
                "%s: %s; its images are served as sections in the order of their names.",
                self.path,
                doubt,
            )
        if images.thumbnails:
            log.warning(
                "%s: images named as thumbnails are left out, %d in all, such as %s.",
                self.path,
                len(images.thumbnails),
                images.thumbnails[0],
            )

    @override
    def _decode(self, data: bytes, path: str) -> NDArray[Any]:
        with naming(path):
            is_inverted = is_tiff(data) and first_page(BytesIO(data)).is_inverted
        if is_inverted != self._is_inverted:
            white, first = ("white", "black") if is_inverted else ("black", "white")
            raise SourceError(f"0 is {white} in {path}, and {first} in the stack's first section.")
        labels, limit = self._kind == "segmentation", self.files.max_chunk
        return decode(data, path, labels=labels, limit=limit, sample=self.part.of_axis("s"))

    def _of_part(self, images: Named) -> Sequence[str]:
        """Return the names of the sections of `part`."""
        places = {each for each in self.part.indexes if each[0] != "s"}
        for part, names in images.volumes.items():
            if not self.part.dataset and set(part.indexes) == places:
                return names
        parts = natsorted(str(part) for part in images.volumes if part)
        listed = ", ".join(parts[:LISTED] + ["…"] * (len(parts) > LISTED))
        if not places and not self.part.dataset:
            raise SourceError(
                f"{self.path} has the images of {len(parts)} volumes: {listed}. Name one of them, "
                f"such as {self.path}#{parts[0]}."
            )
        raise SourceError(
            f"{self.path} has no part {self.part}; allowed are {listed or 'none: it is one stack'}."
        )

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


def _named(path: str, files: Files) -> Named:
    """Return what the names of the images in a folder say.

    Raises
    ------
    SourceError
        There is no folder, it has no image, or too many.
    """
    try:
        with files.folder(path) as folder, reading(path):
            names = list(_images(folder))
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist.") from None
    check_number(path, len(names), PAGES, "images")
    if not names:
        raise SourceError(f"{path} has no image; allowed are {', '.join(EXTENSIONS)}.")
    return named(names)


def _samples(path: str, files: Files) -> int:
    """Count the grey samples of an image's pixels; 1 if it is no TIFF, or cannot be read."""
    if path.lower().rpartition(".")[2] not in TIFFS:
        return 1
    try:
        with files.file(path) as file, naming(path):
            if not is_tiff(file.read(4)):
                return 1
            file.seek(0)
            return first_page(in_pieces(file, path)).samples
    except (ButterflyError, OSError):
        return 1


def _images(folder: str | int) -> Iterator[str]:
    """Yield the names of the images in a folder, given by its path or descriptor.

    Files that begin with a dot are skipped.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if (
                entry.name.lower().endswith(ENDINGS)
                and not entry.name.startswith(".")
                and not entry.is_dir()
            ):
                yield entry.name


def _starts_as_image(path: str) -> bool:
    try:
        with regular(path) as file:
            return is_image(file.read(8))
    except OSError:
        return False
