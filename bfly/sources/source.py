"""The contract of a file format: the interface of every source.

A source is opened once and then read from many threads at once. It states what it holds
(`scales`, `dtype`, `kind`, `voxel_size`) and reads boxes. It uses no queries, caches or
protocols. `bfly.testing.sources` is the contract as a test suite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, Scale, copy_rows
from bfly.sources.file_state import Watched
from bfly.sources.kinds.kinded import Kinded
from bfly.sources.tile_pair import TilePair
from bfly.sources.voxel_types import is_converted, say_conversion, served_dtype
from bfly.storage.files import Files
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Self

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredAs
    from bfly.sources.mips import VoxelSize
    from bfly.sources.precomputed.layers import StoredLayers

__all__ = ["Datasource", "served_dtype"]


class Datasource(TilePair, Kinded, Watched, ABC):
    """Base of all sources.

    Parameters
    ----------
    path : str
        The channel's ``path``: a file or a folder.
    files : Files
        Access to every file that the source reads.
    kind : {"image", "segmentation"}, optional
        Overrides what the file states, and what the voxels are like.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x); overrides what the file states.
    part : Part
        The volume among those that the file or folder holds.

    Attributes
    ----------
    scales : mapping of int to Scale
        The stored mips by their number, including 0; others may be missing.
    dtype : numpy.dtype
        dtype of the voxels that `read` returns (see `served_dtype`).
    """

    name: ClassVar[str]
    """Name of the format on the wire (``source-type``)."""

    marks: ClassVar[tuple[str, ...] | None] = None
    """Names, at least one of which is in a folder of the format; empty if the format is never a
    folder. None means that every scanned folder is probed."""

    endings: ClassVar[Mapping[str, str]] = {}
    """From an ending of a file name, in lower case and without its first dot, to what such a file
    is (``an HDF5 file``). A scan probes such files, and reports those that are of no format, unless
    what it is is empty: most files with the ending are something else."""

    has_parts: ClassVar[bool] = False
    """Whether a path may name a part of a file or folder of the format."""

    layers: StoredLayers | None = None
    """Meshes, skeletons and annotations stored beside the voxels, if the format has them."""

    in_one_thread: ClassVar[bool] = False
    """Whether `read` decodes a large box in the calling thread alone. Several threads then read
    parts of it, if the box is read directly (see `reads_at_once`)."""

    scales: Mapping[int, Scale]
    dtype: np.dtype[Any]

    _stored_dtype: np.dtype[Any] | None = None
    """dtype of the voxels in the file, if it may be another than `dtype`; set by `_open`."""

    _stated: tuple[VoxelSize, str] | None = None
    """Nanometres (z, y, x) of a voxel of mip 0, and the part of the file that states them
    (``attribute resolution``); set by `_open`."""

    def __init__(
        self,
        path: str,
        *,
        files: Files | None = None,
        kind: str | None = None,
        voxel_size: tuple[float, float, float] | None = None,
        part: Part = WHOLE,
    ) -> None:
        Watched.__init__(self, path, str(part))
        Kinded.__init__(self)
        if part and not self.has_parts:
            raise SourceError(f"{path} has no part {part}: a channel of {self.name} is whole.")
        self.part = part
        self.files = files or Files()
        self._kind = kind
        self._voxel_size = voxel_size
        self._open()
        if is_converted(self.stored_dtype):
            say_conversion(path, self.stored_dtype.name)
        self._read_at_first = tuple(self._stamps)

    @abstractmethod
    def _open(self) -> None:
        """Set `scales`, `dtype`, the stated voxel size and kind; raise as `open`.

        `path` and `files` are set.
        """

    @classmethod
    @abstractmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the content of `path` is of this format, cheaply; never raise."""

    @classmethod
    def open(
        cls,
        path: str,
        *,
        files: Files | None = None,
        kind: str | None = None,
        voxel_size: tuple[float, float, float] | None = None,
        part: Part = WHOLE,
    ) -> Self:
        """Open a channel; the arguments are those of the class.

        Raises
        ------
        SourceError
            The files cannot be used; the message names the file and the reason.
        NotAllowed
            A file is outside the allowed folders.
        """
        return cls(path, files=files, kind=kind, voxel_size=voxel_size, part=part)

    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        """Return the parts of a file or folder that are channels, for a scan.

        Parameters
        ----------
        path : str
            `guess_can_open` is true for it.
        files : Files
            Access to every file that is read for it.

        Returns
        -------
        sequence of Part
            `WHOLE` alone if it is one channel. The default, if it is one of several, is `WHOLE`
            too. Empty if it has no volume.

        Raises
        ------
        SourceError, NotAllowed
            As `open`.
        """
        return (WHOLE,)

    @classmethod
    def owned(cls, path: str, files: Files) -> Iterable[str]:
        """Return files and folders that are no channels of their own, for a scan.

        Their voxels are those of this channel; they may be missing. Empty unless the format is
        a file beside its voxels that other formats recognise too.

        Parameters
        ----------
        path, files
            As for `parts`; errors are the same.
        """
        return ()

    @classmethod
    def merge_tables(cls, path: str, files: Files) -> Sequence[str]:
        """Return merge tables that a file or folder of the format holds beside its volumes.

        Parameters
        ----------
        path, files

        Parameters
        ----------
        path, files
            As for `parts`.

        Returns
        -------
        sequence of str
            Each as the path that ``bfly edits import`` reads. The default is none.

        Raises
        ------
        SourceError, NotAllowed
            As `open`.
        """
        return ()

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """The dtype in the file; `dtype` is its `served_dtype`."""
        return self.dtype if self._stored_dtype is None else self._stored_dtype

    @property
    def voxel_size(self) -> VoxelSize | None:
        """Nanometres (z, y, x) at mip 0; None if neither the file nor the user states them."""
        return self._voxel_size or (self._stated[0] if self._stated else None)

    @property
    def voxel_size_source(self) -> str:
        """Origin of the voxel size: ``config``, ``file: …`` or ``assumed``."""
        if self._voxel_size:
            return "config"
        return f"file: {self._stated[1]}" if self._stated else "assumed"

    def read(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        """Read exactly a box of voxels.

        Parameters
        ----------
        mip : int
            One of `scales`.
        box : BoundingBox
            In voxels of that mip; voxel (0, 0, 0) is the file's first. It may be outside.

        Returns
        -------
        numpy.ndarray
            Shape ``box.shape``, C order, `dtype`; zeros outside the volume.

        Raises
        ------
        SourceError
            The voxels are damaged or unreadable; zeros never replace them.
        """
        inside = box & self.scales[mip].box
        if inside == box and box.size:
            return self._read_inside(mip, box)
        result = np.zeros(box.shape, self.dtype)
        if inside.size:
            result[inside.relative_to(box.start).slices] = self._read_inside(mip, inside)
        return result

    def read_into(self, mip: int, box: BoundingBox, voxels: np.ndarray[Any, np.dtype[Any]]) -> None:
        """Read as `read`, into a given array, which saves a copy.

        Parameters
        ----------
        mip, box
            As in `read`; the box is inside the volume.
        voxels : numpy.ndarray
            Shape ``box.shape``, any strides, `dtype`. If this raises, some of it is written.
        """
        copy_rows(self._read_inside(mip, box), voxels)

    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        """Return whether a box of several chunks is best read directly, its chunks not cached.

        A cached chunk serves later requests for the rest of it. That gains nothing where
        nothing is decoded, since the system caches the pages of files. It also gains nothing
        where a library decodes in threads of its own and caches the chunks itself.

        Parameters
        ----------
        mip, box
            As in `read`.
        """
        return False

    @abstractmethod
    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        """Read a non-empty box inside the scale; otherwise as `read`."""

    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        """Return the forms in which `read_encoded` may return a mip's chunks, the best first.

        Parameters
        ----------
        mip : int
            One of `scales`.
        """
        return ()

    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        """Return a chunk as it is stored, in one of the forms of `stored_as`.

        A source that overrides this reads files as `read` does, and raises the same errors.

        Parameters
        ----------
        mip : int
            One of `scales`.
        index : tuple of int
            The chunk (z, y, x), counted in `Scale.chunk`; at least a part of it is inside.
        way : StoredAs
            One of ``stored_as(mip)``.

        Returns
        -------
        bytes or None
            Decompressed and decoded, they are what `read` returns for the chunk, cut off at the
            volume's end. None if that is not so, or not certain at little cost; then the caller
            must read the chunk.
        """
        return None

    def listed_files(self) -> Iterable[str]:
        """Return the files in the channel's list of files, all of which must exist.

        Empty unless the format has such a list; a folder does not state its content.
        """
        return ()

    def gaps(self) -> Iterable[str]:
        """Return where expected sections are missing, such as ``at z 12 to 14``.

        Empty unless a source finds gaps in what it read when it was opened.
        """
        return ()
