"""HDF5: a file, a JSON pointer into one, or several files that continue along z."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from typing_extensions import override

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, Scale
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.hdf5.contents import Located, entries, images_beside, volume
from bfly.sources.hdf5.dataset import Hdf5Dataset
from bfly.sources.hdf5.documented import DocumentedHDF5, unsigned_dtype
from bfly.sources.hdf5.entry import parts_of
from bfly.sources.hdf5.imaris import ENDING, is_imaris
from bfly.sources.hdf5.levels import mips_of
from bfly.sources.hdf5.merge_tables import merge_tables
from bfly.sources.hdf5.plain import has_signature, is_plain
from bfly.sources.hdf5.pointer import is_pointer, read_pointers
from bfly.sources.shared.bdv import size_in_xml
from bfly.sources.shared.place import whole_voxels
from bfly.sources.shared.voxel_size import stated_place
from bfly.storage.files import regular
from bfly.storage.limits import check_number, parsed_json
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from bfly.geometry import Zyx
    from bfly.storage.files import Files

__all__ = ["HDF5"]

log = logging.getLogger(__name__)

DEFLATE = StoredAs("raw", "deflate")

POINTER_LIMIT = 16 << 20
"""Bytes: a larger JSON file holds data of another kind, not a pointer to files."""

POINTERS = 100_000
"""Maximum number of files in a pointer: opening this many takes about a minute."""

SHOWN = 10
"""Maximum number of other volumes that the log names."""


class HDF5(DocumentedHDF5):
    """An ``.h5`` file, or a ``.json`` that lists the files and datasets of the volume.

    The part of a file is a dataset or a group of datasets that are one volume, by default ``main``,
    else the first dataset with three axes (see `bfly.sources.hdf5.contents`), and a place on each
    axis that is not z, y or x.

    A pointer is ``{"filename", "dataset-path", "z-offset"}``, or a list of those. The default
    ``dataset-path`` is the default part. The default ``z-offset`` is the end of the previous file.
    Gaps between files are zeros.
    """

    name = "hdf5"
    marks = ()
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("h5", "hdf", "hdf5"), "an HDF5 file"),
        "mat": "a file of MATLAB 7.3",
        "json": "a pointer to HDF5 files",
    }

    if not TYPE_CHECKING:
        # On the class, the documented helper; on a channel, its own dtype.
        dtype = staticmethod(unsigned_dtype)

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the file has the HDF5 signature, or the keys of a JSON pointer.

        Imaris files are a format of their own. Opening each file to look for their layout would
        take ten times as long, so the ending decides which are opened.
        """
        try:
            if path.endswith(".json"):
                with regular(path) as file:
                    data = file.read(POINTER_LIMIT + 1)
                return len(data) <= POINTER_LIMIT and is_pointer(parsed_json(data, path))
            is_other = path.lower().endswith(f".{ENDING}") and is_imaris(path)
            return has_signature(path) and not is_other
        except (OSError, ValueError, SourceError):
            return False

    @override
    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        if path.endswith(".json") or is_plain(files, path):
            return (WHOLE,)
        return parts_of(path, entries(files, path)) or (WHOLE,)

    @override
    @classmethod
    def owned(cls, path: str, files: Files) -> Iterable[str]:
        return images_beside(files, path)

    @override
    @classmethod
    def merge_tables(cls, path: str, files: Files) -> Sequence[str]:
        return () if path.endswith(".json") else merge_tables(path, files)

    def _open(self) -> None:
        pointers: list[dict[str, Any]] = [{"filename": os.path.basename(self.path)}]
        if self.path.endswith(".json"):
            self._watch(self.path)
            pointers = read_pointers(self.files, self.path)
            if self.part.dataset:
                raise SourceError(
                    f"{self.path} has no part {self.part}: a pointer names its datasets."
                )
        check_number(self.path, len(pointers), POINTERS, "files of HDF5")
        self._parts: list[tuple[int, Hdf5Dataset]] = []
        self._levels: dict[int, Hdf5Dataset] = {}
        next_z = 0
        for pointer in pointers:
            filename = os.path.join(os.path.dirname(self.path), pointer["filename"])
            if not _is_text(filename):
                raise SourceError(
                    f"{self.path}: filename is {filename!r:.100}; that is not a path."
                )
            name = pointer.get("dataset-path", self.part.dataset or None)
            located = volume(self.files, filename, name, self._watch)
            next_z = pointer.get("z-offset", next_z)
            for place in located.pieces:
                part = Hdf5Dataset(self.files, place, self._watch, self.part)
                self._parts.append((next_z, part))
                next_z += part.shape[0]
        self._parts.sort(key=lambda item: item[0])
        self._check_parts()
        first = self._parts[0][1]
        self.dtype, self._stored_dtype = first.dtype, first.stored_dtype
        self._stated, self._stated_kind = first.voxel_size, first.kind
        self._dataset = first.name
        end = max(z + part.shape[0] for z, part in self._parts)
        origin = self._place(has_z=any("z-offset" in pointer for pointer in pointers))
        self.scales = {0: Scale((end, *first.shape[1:]), first.chunk, origin=origin)}
        if len(pointers) == 1:
            self._open_levels(filename, located)
            self._say_others(located)

    def _open_levels(self, path: str, located: Located) -> None:
        """Open the coarser levels of a volume, and find the voxel size of BigDataViewer."""
        levels = [Hdf5Dataset(self.files, p, self._watch, self.part) for p in located.levels]
        finest = self.scales[0]
        mips = mips_of(self.path, finest, self.dtype, levels, located.entry.ratios)
        self._levels = {mip: level for mip, (level, _) in mips.items()}
        self.scales = {0: finest, **{mip: scale for mip, (_, scale) in mips.items()}}
        if located.entry.setup is not None:
            stated = size_in_xml(path, located.entry.setup, self.files, self._watch)
            self._stated = stated or self._stated

    def _say_others(self, located: Located) -> None:
        """Report the volumes of the file that the path does not name."""
        if located.others:
            names = [f"#{other.name}" for other in located.others]
            shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
            served = located.entry.name
            log.info("%s: the volume %s is served; others are %s.", self.path, served, shown)
        for axis, length in self._parts[0][1].others.items():
            if not self.part.indexes:
                log.info("%s: %s is 0; allowed are 0 to %d.", self.path, axis, length - 1)

    def _place(self, has_z: bool) -> Zyx:
        """Return the position that the first file states; the others follow it.

        Parameters
        ----------
        has_z : bool
            Whether the pointer states sections: then those count, not the position along z.
        """
        size = self.voxel_size
        first, *others = (stated_place(part.described, part.axes, size) for _, part in self._parts)
        if any(other and first and other.voxels[1:] != first.voxels[1:] for other in others):
            log.warning("%s: its files state different positions; the first counts.", self.path)
        z, y, x = whole_voxels(self.path, first)
        return 0 if has_z else z, y, x

    def _check_parts(self) -> None:
        """Check that the files fit together as one volume."""
        first = self._parts[0][1]
        end = 0
        for z, part in self._parts:
            if part.shape[1:] != first.shape[1:] or part.dtype != first.dtype:
                raise SourceError(
                    f"{part.path} holds {part.shape[1:]} {part.dtype} sections, "
                    f"{first.path} holds {first.shape[1:]} {first.dtype}: all must match."
                )
            if z < end:
                raise SourceError(
                    f"{self.path}: {part.path} starts at z {z}, before the end of another, {end}."
                )
            end = z + part.shape[0]

    @override
    def gaps(self) -> Iterable[str]:
        end = 0
        for z, part in self._parts:
            if z > end:
                yield f"at z {end}" if z == end + 1 else f"at z {end} to {z - 1}"
            end = z + part.shape[0]

    @override
    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        return (DEFLATE,) if any(part.is_deflate for _, part in self._parts_of(mip)) else ()

    @override
    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        box = BoundingBox.of_shape((1, 1, 1), index).refined(self.scales[mip].chunk)
        for z, part in self._parts_of(mip):
            if box in BoundingBox.of_shape(part.shape, (z, 0, 0)):
                return part.read_stream(box.relative_to((z, 0, 0)))
        return None

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        return all(part.reads_at_once(box) for _, part in self._parts_of(mip))

    def _parts_of(self, mip: int) -> list[tuple[int, Hdf5Dataset]]:
        """Return the datasets of a mip, each with its first section."""
        return [(0, self._levels[mip])] if mip else self._parts

    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        for z, part in self._parts_of(mip):
            if box in BoundingBox.of_shape(part.shape, (z, 0, 0)):
                return part.read(box.relative_to((z, 0, 0)))
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(mip, box, voxels)
        return voxels

    @override
    def read_into(self, mip: int, box: BoundingBox, voxels: np.ndarray[Any, np.dtype[Any]]) -> None:
        end = box.start[0]
        for z, part in self._parts_of(mip):
            inside = box & BoundingBox.of_shape(part.shape, (z, 0, 0))
            if inside.size:
                place = inside.relative_to(box.start).slices
                voxels[end - box.start[0] : place[0].start] = 0
                part.read_into(inside.relative_to((z, 0, 0)), voxels[place])
                end = inside.stop[0]
        voxels[end - box.start[0] :] = 0


def _is_text(name: str) -> bool:
    """Return whether a file can have this name: JSON may hold NUL and lone surrogates."""
    return "\0" not in name and name == name.encode(errors="replace").decode()
