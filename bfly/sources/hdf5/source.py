"""HDF5: a file, a JSON pointer into one, or several files that continue along z."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from typing_extensions import override

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, Scale
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.hdf5.dataset import Hdf5Dataset
from bfly.sources.hdf5.documented import DocumentedHDF5, unsigned_dtype
from bfly.sources.hdf5.pointer import is_pointer, read_pointers
from bfly.storage.files import regular
from bfly.storage.limits import check_number, parsed_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from bfly.geometry import Zyx

__all__ = ["HDF5"]

DEFLATE = StoredAs("raw", "deflate")

MAGIC = b"\x89HDF\r\n\x1a\n"

POINTER_LIMIT = 16 << 20
"""Bytes: a larger JSON file holds data of another kind, not a pointer to files."""

PARTS = 100_000
"""Maximum number of files in a pointer: opening this many takes about a minute."""


class HDF5(DocumentedHDF5):
    """An ``.h5`` file, or a ``.json`` that lists the files and datasets of the volume.

    A pointer is ``{"filename", "dataset-path", "z-offset"}``, or a list of those. The default
    ``dataset-path`` is ``main``, else the first dataset with three axes. The default ``z-offset``
    is the end of the previous file. Gaps between files are zeros.
    """

    name = "hdf5"
    marks = ()
    endings: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("h5", "hdf", "hdf5"), "an HDF5 file"),
        "json": "a pointer to HDF5 files",
    }

    if not TYPE_CHECKING:
        # On the class, the documented helper; on a channel, its own dtype.
        dtype = staticmethod(unsigned_dtype)

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the file has the HDF5 signature, or the keys of a JSON pointer."""
        try:
            if path.endswith(".json"):
                with regular(path) as file:
                    data = file.read(POINTER_LIMIT + 1)
                return len(data) <= POINTER_LIMIT and is_pointer(parsed_json(data, path))
            with regular(path) as file:
                # A user block of 512 bytes times a power of two may precede the signature.
                starts = [0] + [512 << i for i in range(8)]
                return any(file.seek(at) == at and file.read(8) == MAGIC for at in starts)
        except (OSError, ValueError, SourceError):
            return False

    def _open(self) -> None:
        pointers: list[dict[str, Any]] = [{"filename": os.path.basename(self.path)}]
        if self.path.endswith(".json"):
            self._watch(self.path)
            pointers = read_pointers(self.files, self.path)
        check_number(self.path, len(pointers), PARTS, "files of HDF5")
        self._parts: list[tuple[int, Hdf5Dataset]] = []
        next_z = 0
        for pointer in pointers:
            filename = os.path.join(os.path.dirname(self.path), pointer["filename"])
            if not _is_text(filename):
                raise SourceError(
                    f"{self.path}: filename is {filename!r:.100}; that is not a path."
                )
            name = pointer.get("dataset-path")
            part = Hdf5Dataset(self.files, filename, name, self._watch)
            z = pointer.get("z-offset", next_z)
            next_z = z + part.shape[0]
            self._parts.append((z, part))
        self._parts.sort(key=lambda item: item[0])
        self._check_parts()
        first = self._parts[0][1]
        self.dtype = first.dtype
        self._stated = first.voxel_size
        end = max(z + part.shape[0] for z, part in self._parts)
        self.scales = {0: Scale((end, *first.shape[1:]), first.chunk)}

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
        return (DEFLATE,) if any(part.is_deflate for _, part in self._parts) else ()

    @override
    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        box = BoundingBox.of_shape((1, 1, 1), index).refined(self.scales[mip].chunk)
        for z, part in self._parts:
            if box in BoundingBox.of_shape(part.shape, (z, 0, 0)):
                return part.read_stream(box.relative_to((z, 0, 0)))
        return None

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        return all(part.reads_at_once(box) for _, part in self._parts)

    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        if len(self._parts) == 1 and self._parts[0][0] == 0:
            return self._parts[0][1].read(box)
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(mip, box, voxels)
        return voxels

    @override
    def read_into(self, mip: int, box: BoundingBox, voxels: np.ndarray[Any, np.dtype[Any]]) -> None:
        end = box.start[0]
        for z, part in self._parts:
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
