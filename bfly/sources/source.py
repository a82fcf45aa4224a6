"""The contract of a file format: what Butterfly asks of every source.

A source is opened once and then read from many threads at once. It says what it holds
(`scales`, `dtype`, `kind`, `voxel_size`) and reads boxes; it knows nothing of queries,
caches or protocols. `bfly.testing.sources` is the contract as a test suite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, Scale, copy_rows
from bfly.sources.file_state import Watched
from bfly.storage.files import Files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Self

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredAs
    from bfly.sources.mips import VoxelSize

__all__ = ["Datasource", "kind_of", "served_dtype"]


def served_dtype(dtype: np.dtype[Any], path: str) -> np.dtype[Any]:
    """Give the dtype in which a file's voxels are served.

    Parameters
    ----------
    dtype : numpy.dtype
        As stored. Integers of every width, booleans and float32 can be served.
    path : str
        Names the file in the message.

    Returns
    -------
    numpy.dtype
        Little-endian; signed integers become unsigned ones of the same width.

    Raises
    ------
    SourceError
        Voxels of this dtype cannot be served.
    """
    if dtype.kind in "iub":
        return np.dtype(f"<u{dtype.itemsize}")
    if dtype.kind == "f" and dtype.itemsize == 4:
        return np.dtype("<f4")
    raise SourceError(
        f"{path} holds {dtype} voxels; allowed are integers of 8 to 64 bits and float32."
    )


def kind_of(dtype: np.dtype[Any]) -> str:
    """Give the kind of a channel of which nobody said it: wide integers are labels."""
    return "segmentation" if dtype.kind == "u" and dtype.itemsize > 1 else "image"


class Datasource(Watched, ABC):
    """Base of all sources.

    Parameters
    ----------
    path : str
        What the channel's ``path`` names: a file or a folder.
    files : Files
        The way to every file that the source reads.
    kind : {"image", "segmentation"}, optional
        Overrides what the dtype suggests.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x); overrides what the file states.

    Attributes
    ----------
    scales : mapping of int to Scale
        The mips that are stored, by their number, 0 among them; others may be missing.
    dtype : numpy.dtype
        Of the voxels as `read` gives them (see `served_dtype`).
    """

    name: ClassVar[str]
    """The format's name on the wire (``source-type``)."""

    marks: ClassVar[tuple[str, ...] | None] = None
    """What is in a folder of the format, one of these names at least; none if it is never a
    folder. With None it is asked about every folder that is scanned."""

    scales: Mapping[int, Scale]
    dtype: np.dtype[Any]

    _stated: tuple[VoxelSize, str] | None = None
    """Nanometres (z, y, x) of a voxel of mip 0 as the file states them, and what in it does
    (``attribute resolution``); set by `_open`."""

    def __init__(
        self,
        path: str,
        *,
        files: Files | None = None,
        kind: str | None = None,
        voxel_size: tuple[float, float, float] | None = None,
    ) -> None:
        super().__init__(path)
        self.files = files or Files()
        self._kind = kind
        self._voxel_size = voxel_size
        self._open()
        self._read_at_first = tuple(self._stamps)

    @abstractmethod
    def _open(self) -> None:
        """Find out `scales`, `dtype` and what is stated of the voxel size; raise as `open`.

        `path` and `files` are set.
        """

    @classmethod
    @abstractmethod
    def guess_can_open(cls, path: str) -> bool:
        """Tell from the content of `path`, cheaply, whether this is the format's; never raise."""

    @classmethod
    def open(
        cls,
        path: str,
        *,
        files: Files | None = None,
        kind: str | None = None,
        voxel_size: tuple[float, float, float] | None = None,
    ) -> Self:
        """Open a channel; the arguments are those of the class.

        Raises
        ------
        SourceError
            The files cannot be used; the message names the file and the reason.
        NotAllowed
            A file lies outside the allowed folders.
        """
        return cls(path, files=files, kind=kind, voxel_size=voxel_size)

    @property
    def kind(self) -> str:
        """Either ``image`` or ``segmentation``; decides how voxels are averaged and shown."""
        return self._kind or kind_of(self.dtype)

    @property
    def voxel_size(self) -> VoxelSize | None:
        """Nanometres (z, y, x) at mip 0; None where neither the file nor the user says."""
        return self._voxel_size or (self._stated[0] if self._stated else None)

    @property
    def voxel_size_source(self) -> str:
        """Where the voxel size is from: ``config``, ``file: …`` or ``assumed``."""
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
            In voxels of that mip; voxel (0, 0, 0) is the file's first. It may lie outside.

        Returns
        -------
        numpy.ndarray
            Shape ``box.shape``, C order, `dtype`; zeros outside the volume.

        Raises
        ------
        SourceError
            The voxels are damaged or unreadable: never zeros in their place.
        """
        inside = box & self.scales[mip].box
        if inside == box and box.size:
            return self._read_inside(mip, box)
        result = np.zeros(box.shape, self.dtype)
        if inside.size:
            result[inside.relative_to(box.start).slices] = self._read_inside(mip, inside)
        return result

    def read_into(self, mip: int, box: BoundingBox, voxels: np.ndarray[Any, np.dtype[Any]]) -> None:
        """Read as `read`, to where the voxels are wanted, so that nothing is copied again.

        Parameters
        ----------
        mip, box
            As `read` takes them; the box lies inside the volume.
        voxels : numpy.ndarray
            Shape ``box.shape``, any strides, `dtype`. If this raises, some of it is written.
        """
        copy_rows(self._read_inside(mip, box), voxels)

    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        """Tell whether a box of several chunks is best read as it is, and its chunks not kept.

        A chunk that was decoded is worth keeping for whoever asks for the rest of it. That gains
        nothing where there is nothing to decode, since the system keeps the pages of files, or
        where a library decodes in threads of its own and keeps the chunks itself.

        Parameters
        ----------
        mip, box
            As `read` takes them.
        """
        return False

    @abstractmethod
    def _read_inside(self, mip: int, box: BoundingBox) -> np.ndarray[Any, np.dtype[Any]]:
        """Read a box that is not empty and lies inside the scale; else as `read`."""

    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        """Give the ways in which `read_encoded` may give chunks of a mip, the best first; or none.

        Parameters
        ----------
        mip : int
            One of `scales`.
        """
        return ()

    def read_encoded(self, mip: int, index: Zyx, way: StoredAs) -> bytes | None:
        """Give a chunk as it is stored, if that is the chunk in one of the ways of `stored_as`.

        A source that overrides this reads files as `read` does, and raises what that raises.

        Parameters
        ----------
        mip : int
            One of `scales`.
        index : tuple of int
            The chunk (z, y, x), counted in `Scale.chunk`; it lies at least in part inside.
        way : StoredAs
            One of ``stored_as(mip)``.

        Returns
        -------
        bytes or None
            Unpacked and decoded they are what `read` gives of the chunk, cut off at the volume's
            end. None where that is not so, or not certain at a glance; then the chunk has to be
            read.
        """
        return None

    def listed_files(self) -> Iterable[str]:
        """Give the files that a list of the channel names, each of which has to be there.

        None unless the format has such a list; what a folder should hold nobody says.
        """
        return ()

    def gaps(self) -> Iterable[str]:
        """Say where sections are missing that should be there, such as ``at z 12 to 14``.

        Nothing unless a source can tell, from what it learned as it was opened.
        """
        return ()
