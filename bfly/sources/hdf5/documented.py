"""The documented helpers of the HDF5 source, for queries with a path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.encoders.unsigned import unsigned
from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.hdf5.contents import volume
from bfly.sources.hdf5.dataset import Hdf5Dataset
from bfly.sources.hdf5.pointer import read_pointers
from bfly.sources.source import Datasource
from bfly.storage.files import Files
from bfly.storage.part import split_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["DocumentedHDF5", "unsigned_dtype"]


class DocumentedHDF5(Datasource):
    """Helpers of `HDF5`. A file of a volume is a list: its path, its dataset, its first section."""

    _parts: list[tuple[int, Hdf5Dataset]]

    @classmethod
    def valid_path(cls, t_query: Any) -> dict[str, Any]:
        """Return the files of a volume, sorted by z, below the key ``hdf5``; or nothing.

        Parameters
        ----------
        t_query : TileQuery
            Only its path and the names of its fields are used.

        Returns
        -------
        dict
            Empty if the files cannot be opened as one volume.
        """
        path, part = split_path(t_query.OUTPUT.INFO.PATH.VALUE)
        try:
            parts = cls.open(path, part=part)._parts
        except SourceError:
            return {}
        files = [[each.path, each.name.lstrip("/"), z] for z, each in parts]
        return {t_query.RUNTIME.IMAGE.SOURCE.HDF5.NAME: files}

    @classmethod
    def load_info(cls, t_query: Any) -> list[list[Any]]:
        """Return the files that a path stands for, as a pointer lists them, not opened.

        A path that is no pointer stands for itself, with its part or the default dataset.
        """
        path, part = split_path(t_query.OUTPUT.INFO.PATH.VALUE)
        info = t_query.RUNTIME.IMAGE.SOURCE.HDF5
        try:
            pointers = read_pointers(Files(), path) if path.endswith(".json") else []
        except SourceError:
            pointers = []
        listed = [cls.get_details(info, pointer) for pointer in pointers]
        folder = os.path.dirname(path)
        return [[os.path.join(folder, outer), *rest] for outer, *rest in listed] or [
            [path, part.dataset or info.INNER.VALUE, info.OFF.VALUE]
        ]

    @staticmethod
    def get_details(h5_info: Any, file_dict: Mapping[str, Any]) -> list[Any]:
        """Return the file, the dataset and the first section that one pointer names.

        Parameters
        ----------
        h5_info : Field
            ``RUNTIME.IMAGE.SOURCE.HDF5``: its fields name the keys of `file_dict`.
        file_dict : dict
            The pointer.
        """
        outer, inner = (file_dict.get(field.NAME) for field in (h5_info.OUTER, h5_info.INNER))
        return [outer, inner, file_dict.get(h5_info.OFF.NAME, 0)]

    @staticmethod
    def load_file(h5_file: Sequence[Any]) -> Voxels:
        """Return all voxels of one file of a volume.

        Raises
        ------
        SourceError
            The file cannot be read.
        """
        path, name, *_ = h5_file
        located = volume(Files(), path, name, lambda _path: None)
        dataset = Hdf5Dataset(Files(), located.pieces[0], lambda _path: None)
        return dataset.read(BoundingBox.of_shape(dataset.shape))


def unsigned_dtype(dataset: Any) -> np.dtype[Any]:
    """Return the dtype of an array, unsigned if it is a signed integer."""
    return unsigned(np.dtype(dataset.dtype))
