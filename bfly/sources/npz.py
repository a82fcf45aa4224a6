"""NumPy archives: a ``.npz`` file, a zip archive with a ``.npy`` file for each array.

``numpy.savez`` stores the arrays, so that they are read in place. ``numpy.savez_compressed``
compresses each as a whole.
"""

from __future__ import annotations

import struct
import zipfile
from typing import IO, TYPE_CHECKING, ClassVar, NamedTuple

from typing_extensions import override

from bfly.edits.stored_tables import LUTS, is_table
from bfly.errors import SourceError
from bfly.sources.hdf5.entry import Entry, parts_of
from bfly.sources.npy import NpyHeader, npy_header
from bfly.sources.shared.axes import axes_of
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.decompressed import ZIP
from bfly.sources.shared.single_file import FlatFile, Header
from bfly.sources.shared.zip_entries import entries_of
from bfly.storage.files import FARTHEST, regular, stamp_of
from bfly.storage.limits import check_number, check_whole, in_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.storage.files import Files
    from bfly.storage.part import Part

__all__ = ["Npz"]

LOCAL = struct.Struct("<4s22xHH")
"""Header before an entry's data: signature, bytes of the name and of the extra fields."""

ENDING = ".npy"

MAIN = "main"
"""Name of the array that is the default one, as in HDF5."""

ARRAYS = 10_000
"""Most arrays of an archive: the header of each is read."""


class _Array(NamedTuple):
    """One array of an archive.

    Parameters
    ----------
    name : str
        Its name, without ``.npy``.
    header : NpyHeader
        Its own header, with the offset of its voxels behind the header.
    start : int
        Offset in bytes: of its entry if it is compressed, otherwise of its first byte.
    size : int
        Bytes of the entry, decompressed.
    packed : int, optional
        Bytes of the entry as it is compressed; None if it is not.
    """

    name: str
    header: NpyHeader
    start: int
    size: int
    packed: int | None

    @property
    def is_volume(self) -> bool:
        """Whether it has three axes or more, none empty, of numbers."""
        shape, kind = self.header.shape, self.header.dtype.kind
        return len(shape) >= 3 and min(shape) > 0 and kind in "iufb"


class Npz(FlatFile):
    """A ``.npz`` archive; a part names one of its arrays.

    The default is ``main``, else the first one with three axes, else the first with more. Axes are
    those of `bfly.sources.npy`.
    """

    name = "npz"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = {"npz": "an archive of NumPy"}

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the first entry of a zip archive is a ``.npy`` file."""
        try:
            with regular(path) as file:
                head = file.read(LOCAL.size)
                if not head.startswith(b"PK\3\4") or len(head) < LOCAL.size:
                    return False
                return file.read(LOCAL.unpack(head)[1]).endswith(ENDING.encode())
        except OSError:
            return False

    @classmethod
    @override
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        volumes = [each for each in _arrays(path, files) if each.is_volume]
        served = _default(volumes)
        listed = [served, *(each for each in volumes if each is not served)] if served else []
        # An array of four axes or more is listed all the same: opening it says what to write.
        return parts_of(path, [Entry(each.name) for each in listed])

    @classmethod
    @override
    def merge_tables(cls, path: str, files: Files) -> Sequence[str]:
        arrays = [each for each in _arrays(path, files) if each.name in LUTS]
        fit = [each for each in arrays if is_table(each.header.shape, each.header.dtype)]
        return [f"{path}#{each.name}" for each in fit]

    def _header(self, file: IO[bytes]) -> Header:
        arrays = _arrays(self.path, self.files)
        named = {each.name: each for each in arrays}
        name = self.part.dataset
        found = named.get(name) if name else _default([a for a in arrays if a.is_volume])
        if found is None:
            listed = ", ".join(f"{each.name} {each.header.shape}" for each in arrays[:20])
            what = f"no array {name}" if name else "no array of three axes"
            raise SourceError(f"{self.path} has {what}; it has {listed or 'none'}.")
        header, what = found.header, f"{self.path}: the array {found.name}"
        if len(header.shape) < 3:
            raise SourceError(f"{what} has the shape {header.shape}; allowed are three axes.")
        axes = axes_of((), header.shape, self.path, self.part.inside)
        if found.packed is not None:
            check_whole(self.path, found.packed, self.files.max_chunk)
        at = header.offset + (found.start if found.packed is None else 0)
        flat = Flat.in_array(
            self.path, header.shape, axes, header.dtype, at, x_first=header.is_fortran
        )
        end = header.offset + header.nbytes
        if end != found.size:
            raise SourceError(f"{what} needs {end} bytes; {found.size} are stored.")
        packing = None if found.packed is None else ZIP
        return Header(flat, packing=packing, start=found.start, lengths=axes.lengths)


def _default(volumes: Sequence[_Array]) -> _Array | None:
    ranked = sorted(volumes, key=lambda each: (each.name != MAIN, len(each.header.shape) != 3))
    return ranked[0] if ranked else None


def _arrays(path: str, files: Files) -> list[_Array]:
    """Return the arrays of an archive, in its order.

    Raises
    ------
    SourceError
        The archive is damaged, or compressed in another way than NumPy does.
    Oversized
        It has too many arrays, or a header is too long.
    """
    arrays = []
    with files.file(path) as file:
        entries_of(file, path, stamp_of(path), FARTHEST)
        with zipfile.ZipFile(in_pieces(file, path)) as archive:
            entries = [info for info in archive.infolist() if info.filename.endswith(ENDING)]
            check_number(path, len(entries), ARRAYS, "arrays")
            for info in entries:
                name = info.filename.removesuffix(ENDING)
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise SourceError(
                        f"{path}: the array {name} has the compression {info.compress_type}; "
                        "allowed are none and Deflate."
                    )
                with archive.open(info) as member:
                    header = npy_header(in_pieces(member, path))
                start = info.header_offset
                packed: int | None = info.compress_size
                if info.compress_type == zipfile.ZIP_STORED:
                    packed = None
                    file.seek(start)
                    _, length, extra = LOCAL.unpack(file.read(LOCAL.size))
                    start += LOCAL.size + length + extra
                arrays.append(_Array(name, header, start, info.file_size, packed))
    return arrays
