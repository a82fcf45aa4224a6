"""Base of formats with a header and then one volume of contiguous voxels."""

from __future__ import annotations

import os
from abc import abstractmethod
from io import BytesIO
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
from typing_extensions import override

from bfly.errors import Busy, SourceChanged, SourceError
from bfly.geometry import Scale
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

    from bfly.geometry import BoundingBox
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
        Position of the voxels; in a compressed file, after decompression.
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
    """

    flat: Flat
    voxel_size: tuple[float, float, float] | None = None
    position: Position | None = None
    packing: str | None = None
    start: int = 0
    lengths: Mapping[str, int] = MappingProxyType({})
    kind: Stated | None = None


class FlatFile(Datasource):
    """A file with a header and then all voxels, compressed or not.

    A derived class reads the header (`_header`); this class reads boxes.
    """

    marks = ()

    @classmethod
    @override
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        if not cls.has_parts:
            return super().parts(path, files)
        return parts_along(cls(path, files=files)._lengths, path)

    @abstractmethod
    def _header(self, file: IO[bytes]) -> Header:
        """Read the header of `path` from an open file, decompressed.

        Any error that it raises counts as a damaged header. If another file holds the voxels,
        it must be watched first.
        """

    def _open(self) -> None:
        self._watch(self.path)
        try:
            with self.files.file(self.path) as file:
                packing = packing_of(file.read(4))
                file.seek(0)
                if packing:
                    # A gzip member may be followed by any number of zeros, which are skipped
                    # one by one.
                    check_whole(self.path, os.fstat(file.fileno()).st_size, self.files.max_chunk)
                with naming(self.path):
                    header = self._header(in_pieces(unpacking(file, packing), self.path))
                    _check(header.flat)
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}.") from error
        if packing and header.packing:
            raise SourceError(
                f"{self.path} is compressed twice, by {packing} and {header.packing}."
            )
        if packing or header.packing:
            size = (self._stamps[header.flat.path] or (0, 0, 0))[1]
            packed = 0 if header.packing == ZIP else size
            check_whole(header.flat.path, max(header.flat.end, packed), self.files.max_chunk)
        self._flat, self._lengths = header.flat, header.lengths
        # The stamp from before the header was read, so that a replaced file is noticed.
        self._stamp = self._stamps[self._flat.path]
        self._packing, self._start = packing or header.packing, header.start
        self._stated = header.voxel_size and (header.voxel_size, "header")
        self._stated_kind = header.kind
        self.dtype = self._flat.dtype
        place = whole_voxels(self.path, header.position)
        self.scales = {0: Scale(self._flat.shape, self._flat.chunk, origin=place)}

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
        flat = self._flat
        with self.files.open(flat.path) as (fd, stamp):
            if stamp != self._stamp:
                raise SourceChanged(f"{flat.path} changed on disk while it was read.")
            if self._packing is None:
                flat.read_into(fd, box, voxels)
                return
            with _UNPACKED.open(
                flat.path, fd, stamp, self._start, self._packing, flat.end
            ) as plain:
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
