"""HDF5 datasets with external storage: their voxels are in raw files without a header.

The library opens those files by name, from the working folder, and fills a short file with zeros.
Here each file is located, checked and measured before HDF5 reads it.
"""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import h5py
from typing_extensions import override

from bfly.errors import SourceChanged, SourceError
from bfly.sources.hdf5.file import Place, beside, leading_to
from bfly.sources.hdf5.voxel_type import read_box
from bfly.storage.opening import fd_path, with_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import numpy as np

    from bfly.storage.files import Files, Stamp

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Elsewhere", "External", "check_unchanged"]


class Elsewhere:
    """Voxels of a dataset that are in other files; any number of axes.

    Parameters
    ----------
    files : Files
        Access to the files.
    place : Place
        The dataset.
    """

    def __init__(self, files: Files, place: Place) -> None:
        self.files = files
        self.place = place

    def read(self, box: Sequence[slice], dtype: np.dtype[Any]) -> Voxels:
        """Read a box that is inside the dataset.

        Parameters
        ----------
        box : sequence of slice
            Start and stop along each axis.
        dtype : numpy.dtype
            The library converts the stored values to it, also from sources of other types.

        Raises
        ------
        SourceError
            A file cannot be read.
        SourceChanged
            A file has changed since the dataset was opened.
        """
        raise NotImplementedError


class _Piece(NamedTuple):
    """A byte range of a file that holds voxels of a dataset."""

    path: str
    offset: int
    size: int
    stamp: Stamp


class External(Elsewhere):
    """A dataset whose voxels are in raw files, one after the other.

    Parameters
    ----------
    files, place, dataset, watch
        As for `bfly.sources.hdf5.elsewhere.elsewhere`.
    """

    def __init__(
        self, files: Files, place: Place, dataset: Any, watch: Callable[[str], None]
    ) -> None:
        super().__init__(files, place)
        self._type, self._space = dataset.id.get_type(), dataset.id.get_space()
        left = math.prod(dataset.shape) * self._type.get_size()
        self.pieces = []
        for name, offset, size in dataset.external:
            path = beside(place.path, name)
            watch(path)
            with leading_to(place.path, place.name, path), files.open(path) as (_, stamp):
                needed = min(size, left)
                if stamp is None or stamp[1] < offset + needed:
                    raise SourceError(f"{path} is truncated: it ends before {offset + needed}.")
            self.pieces.append(_Piece(path, offset, needed, stamp))
            left -= needed
        if left:
            raise SourceError(
                f"{place.path}: {place.name} names files for all but {left} of its bytes."
            )

    @override
    def read(self, box: Sequence[slice], dtype: np.dtype[Any]) -> Voxels:
        with ExitStack() as stack:
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            for piece in self.pieces:
                fd, stamp = stack.enter_context(self.files.open(piece.path))
                check_unchanged(piece.path, stamp, piece.stamp)
                plist.set_external(fd_path(fd).encode(), piece.offset, piece.size)
            # HDF5 reads file names from the dataset, so a temporary one holds the checked names.
            made = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".h5"))
            return self.files.spared(partial(self._read, made.name, plist, box, dtype))

    def _read(self, made: str, plist: Any, box: Sequence[slice], dtype: np.dtype[Any]) -> Voxels:
        try:
            with h5py.File(made, "w", locking=False) as file:
                h5py.h5d.create(file.id, b"voxels", self._type, self._space, plist)
                return read_box(file["voxels"], box, dtype)
        except OSError as error:
            message = f"{self.place.path}: {self.place.name} cannot be read: {error}."
            raise with_reason(message) from error


def check_unchanged(path: str, stamp: Stamp, known: Stamp) -> None:
    """Raise `SourceChanged` unless a file has the expected stamp."""
    if stamp != known:
        raise SourceChanged(f"{path} changed on disk while it was read.")
