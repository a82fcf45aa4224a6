"""Base of formats with a header and then one volume of contiguous voxels."""

from __future__ import annotations

import os
from abc import abstractmethod
from dataclasses import replace
from io import BytesIO
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
from typing_extensions import override

from bfly.errors import Busy, SourceChanged, SourceError
from bfly.geometry import BoundingBox, Scale, indexes
from bfly.sources.shared.axes import parts_along
from bfly.sources.shared.decompressed import ZIP, Unpacked, packing_of, unpacking
from bfly.sources.shared.images import naming
from bfly.sources.shared.place import whole_voxels
from bfly.sources.source import Datasource
from bfly.storage.files import FARTHEST, regular
from bfly.storage.limits import check_whole, in_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bfly.geometry import Zyx
    from bfly.sources.kinds.stated import Stated
    from bfly.sources.shared.contiguous import Flat
    from bfly.sources.shared.place import Position
    from bfly.storage.files import Files
    from bfly.storage.part import Part

__all__ = ["FlatFile", "Header", "head_of"]

_UNPACKED = Unpacked()
"""Shared by the process: its limit is on the disk, which all channels share."""


PACKED = 2 << 20
"""Bytes of a compressed file that are searched for its header: two blocks of bzip2."""


class Header(NamedTuple):
    """Content of a file's header.

    Parameters
    ----------
    flat : Flat
        Position of the voxels; in a compressed file, after decompression. If several files have
        them, those of the first one.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x), if the header states it.
    position : Position, optional
        Position of the first voxel, if the header states it.
    packing : str, optional
        Compression of the voxels (see `packing_of`, `ZIP`), if only they are compressed.
    start : int
        Offset of the compressed data, in bytes.
    lengths : mapping of str to int
        Number of volumes along each axis that selects one (see `VolumeAxes`).
    kind : tuple of str, optional
        Kind of the voxels, and the field that states it, if the header does.
    counts : tuple of int
        Number of files along z, y and x, each with as many voxels as `flat`.
    pieces : sequence of tuple
        These files in C order, if they are several, each with the offset of its voxels, or of its
        compressed data.
    """

    flat: Flat
    voxel_size: tuple[float, float, float] | None = None
    position: Position | None = None
    packing: str | None = None
    start: int = 0
    lengths: Mapping[str, int] = MappingProxyType({})
    kind: Stated | None = None
    counts: Zyx = (1, 1, 1)
    pieces: Sequence[tuple[str, int]] = ()


class FlatFile(Datasource):
    """A file with a header and then all voxels, compressed or not; or a header of other files.

    A derived class reads the header (`_header`); this class reads boxes.
    """

    _packing: str | None
    """Compression of the file, see `packing_of`; set before `_header` is called. Afterwards, that
    of the voxels."""

    marks = ()

    @classmethod
    @override
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        if not cls.has_parts:
            return super().parts(path, files)
        return parts_along(cls(path, files=files)._lengths, path)

    @abstractmethod
    def _header(self, file: IO[bytes]) -> Header:
        """Read the header of `_head` from an open file, decompressed.

        Any error that it raises counts as a damaged header. If other files hold the voxels,
        they must be watched first.
        """

    @property
    def _head(self) -> str:
        """The file with the header."""
        return self.path

    def _open(self) -> None:
        head = self._head
        self._watch(head)
        try:
            with self.files.file(head) as file:
                packing = packing_of(file.read(4))
                file.seek(0)
                self._packing = packing
                if packing:
                    # A gzip member may be followed by any number of zeros, which are skipped
                    # one by one.
                    check_whole(head, os.fstat(file.fileno()).st_size, self.files.max_chunk)
                with naming(head):
                    header = self._header(in_pieces(unpacking(file, packing), head))
                    _check(header.flat)
        except OSError as error:
            raise SourceError(f"{head} cannot be read: {error.strerror}.") from error
        flat = header.flat
        if flat.path != head:
            packing = None
        if packing and header.packing:
            raise SourceError(f"{head} is compressed twice, by {packing} and {header.packing}.")
        self._packing = packing or header.packing
        self._pieces = header.pieces or [
            (flat.path, header.start if self._packing else flat.offset)
        ]
        # The stamps from before the header was read, so that a replaced file is noticed.
        self._states = {path: self._stamps[path] for path, _ in self._pieces}
        if self._packing:
            sizes = [(stamp or (0, 0, 0))[1] for stamp in self._states.values()]
            packed = 0 if self._packing == ZIP else max(sizes)
            check_whole(flat.path, max(flat.end, packed), self.files.max_chunk)
        self._flat, self._lengths, self._counts = flat, header.lengths, header.counts
        self._stated = header.voxel_size and (header.voxel_size, "header")
        self._stated_kind = header.kind
        self.dtype, self._stored_dtype = self._flat.dtype, self._flat.stored
        place = whole_voxels(self.path, header.position)
        shape = BoundingBox((0, 0, 0), self._counts).refined(flat.shape).shape
        self.scales = {0: Scale(shape, flat.chunk, origin=place)}

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        """Return `Flat.reads_at_once`: nothing is decoded, or all of it was before."""
        return self._flat.reads_at_once(box)

    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(mip, box, voxels)
        return voxels

    @override
    def read_into(self, mip: int, box: BoundingBox, voxels: np.ndarray[Any, np.dtype[Any]]) -> None:
        shape, (_, rows, columns) = self._flat.shape, self._counts
        for z, y, x in indexes(box.in_tiles(shape)):
            place = BoundingBox.of_shape((1, 1, 1), (z, y, x)).refined(shape)
            part = place & box
            self._read_piece(
                (z * rows + y) * columns + x,
                part.relative_to(place.start),
                voxels[part.relative_to(box.start).slices],
            )

    def _read_piece(
        self, number: int, box: BoundingBox, voxels: np.ndarray[Any, np.dtype[Any]]
    ) -> None:
        """Read a box of one of the files that hold the voxels."""
        path, start = self._pieces[number]
        with self.files.open(path) as (fd, stamp):
            if stamp != self._states[path]:
                raise SourceChanged(f"{path} changed on disk while it was read.")
            if self._packing is None:
                replace(self._flat, path=path, offset=start).read_into(fd, box, voxels)
                return
            flat = replace(self._flat, path=path)
            with _UNPACKED.open(path, fd, stamp, start, self._packing, flat.end) as plain:
                flat.read_into(plain, box, voxels)


def _check(flat: Flat) -> None:
    """Raise `SourceError` for sizes and offsets that no file has."""
    if min(flat.shape) < 1 or not 0 <= flat.offset <= flat.end <= FARTHEST:
        raise SourceError(
            f"{flat.path} states {flat.shape} voxels at byte {flat.offset}; allowed are 1 or more "
            f"along each axis, and {FARTHEST} bytes in all."
        )


def head_of(path: str, size: int) -> bytes:
    """Return the first bytes of a file, decompressed; none if that fails."""
    try:
        with regular(path) as file:
            packing = packing_of(file.read(4))
            file.seek(0)
            # A gzip member may be followed by any number of zeros, so the input is limited.
            start = BytesIO(file.read(PACKED)) if packing else file
            return unpacking(start, packing).read(size)
    except Busy:
        raise
    except Exception:  # decompressors may raise anything on files of other formats
        return b""
