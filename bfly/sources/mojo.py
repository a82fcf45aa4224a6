"""Mojo: a pyramid of tiles in folders, described by ``tiledVolumeDescription.xml``.

The names of files and attributes are those of the Mojo proofreading tool. Its XML schema defines
only the empty element ``tiledVolumeDescription``.
"""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import h5py
import numpy as np

from bfly.encoders.unsigned import as_unsigned
from bfly.errors import SourceError
from bfly.geometry import Scale, ceil_div, zyx
from bfly.sources.hdf5.packed import check_packed
from bfly.sources.kinds.judgement import kind_of
from bfly.sources.shared.chunk_check import has_chunks
from bfly.sources.shared.chunk_keys import ChunkKeys, is_lasting
from bfly.sources.shared.images import EXTENSIONS, decode, naming
from bfly.sources.shared.sample import sample_below
from bfly.sources.shared.tile_files import TileGrid
from bfly.sources.shared.written_levels import written_levels
from bfly.sources.voxel_types import as_served, served_dtype
from bfly.storage.files import regular
from bfly.storage.limits import check_chunk

if TYPE_CHECKING:
    from collections.abc import Container

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Mojo"]

DESCRIPTION = "tiledVolumeDescription.xml"
ROOT = "tiledVolumeDescription"
HDF5_EXTENSIONS = ("h5", "hdf5")
TILE = re.compile(r"z=(\d{1,18})/y=(\d{1,18}),x=(\d{1,18})\.\w+")


class Mojo(TileGrid):
    """A folder with ``tiledVolumeDescription.xml`` in it, or in its folder ``tiles``.

    The files of tiles are ``tiles/w=%08d/z=%08d/y=%08d,x=%08d.<ext>``, where w is the mip. A tile
    is an image or an HDF5 dataset (``main``, ``IdMap`` or else the first) of two or three axes.
    Every mip has half the voxels of the one before in y and x, rounded up. A tile may extend
    beyond the volume's border. Voxels are unsigned: the XML states their bytes only.
    """

    name = "mojo"
    marks = (DESCRIPTION, "tiles")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether the XML has Mojo's root, or else the finest tiles have a folder."""
        for description in _descriptions(path):
            try:
                with regular(description) as file:
                    # UTF-16, as written on Windows, has the same letters and zeros between.
                    if ROOT.encode() in file.read(4096).replace(b"\0", b""):
                        return True
            except (OSError, ValueError):
                pass
        return os.path.isdir(os.path.join(path, "tiles", "w=00000000"))

    def _open(self) -> None:
        described = self._description()
        z, y, x = described.numbers("numVoxels")
        tile = described.numbers("numVoxelsPerTile")
        self.scales = {
            mip: Scale((z, ceil_div(y, 2**mip), ceil_div(x, 2**mip)), tile, (1, 2**mip, 2**mip))
            for mip in range(described.number("numTilesW", range(1, 33), "1 to 32"))
        }
        size = described.number("numBytesPerVoxel", (1, 2, 4, 8), "1, 2, 4, 8")
        self.dtype = np.dtype(f"<u{size}")
        self._extension = described.text("fileExtension").lstrip(".")
        if self._extension.lower() not in (allowed := EXTENSIONS + HDF5_EXTENSIONS):
            raise SourceError(
                f"{described.path}: fileExtension is {self._extension!r}; "
                f"allowed are {', '.join(allowed)}."
            )
        states = {f"w={mip:08d}": self._is_written(mip) for mip in self.scales}
        names = written_levels(self.path, "tiles", states)
        self.scales = {mip: self.scales[mip] for mip, w in enumerate(states) if w in names}

    def _description(self) -> _Description:
        for path in _descriptions(self.path):
            data = self._read_document(path)
            if data is not None:
                return _Description(data, path)
        raise SourceError(f"{self.path} has no {DESCRIPTION}, which a Mojo volume needs.")

    def _is_written(self, mip: int) -> bool | None:
        """Return whether a mip has tiles under the names of the format; None if not known."""
        folder = f"tiles/w={mip:08d}"
        sample = sample_below(self.files, os.path.join(self.path, folder), deep=True)
        if not sample.names and sample.is_all:
            self._watch(os.path.join(self.path, folder))
        scale = self.scales[mip]
        counts = scale.box.in_tiles(scale.chunk).shape

        def right(name: str) -> str | None:
            match = TILE.fullmatch(name)
            index = zyx(map(int, match.groups())) if match else counts
            return self._tile_name(index) if all(map(int.__lt__, index, counts)) else None

        def is_there(name: str) -> bool:
            return os.path.exists(os.path.join(self.path, name))

        keys = ChunkKeys(folder, right, is_like=_is_tile_like)
        expected = keys.path(self._tile_name((0, 0, 0)))
        return has_chunks(self.path, sample, keys, is_there, expected)

    def _tile_path(self, mip: int, index: Zyx) -> str:
        return os.path.join(self.path, "tiles", f"w={mip:08d}", self._tile_name(index))

    def _tile_name(self, index: Zyx) -> str:
        """Return the name of a tile below the folder of its mip."""
        z, y, x = index
        return f"z={z:08d}/y={y:08d},x={x:08d}.{self._extension}"

    def _decode(self, data: bytes, path: str) -> NDArray[Any]:
        # Tiles are decoded to decide the kind, so the dtype alone decides how.
        labels = (self._kind or kind_of(self.dtype)) == "segmentation"
        limit = self.files.max_chunk
        if self._extension.lower() in HDF5_EXTENSIONS:
            with naming(path):
                tile = _hdf5_voxels(data, path, limit)
        else:
            tile = decode(data, path, labels=labels, limit=limit)
        return as_unsigned(tile, f"{path} is a tile of Mojo, which", SourceError)


class _Description:
    """Attributes of the XML's root, checked on access."""

    def __init__(self, data: bytes, path: str) -> None:
        self.path = path
        # Only a document type can declare entities, which may expand without bound.
        if b"<!DOCTYPE" in data.replace(b"\0", b""):
            raise SourceError(f"{path} has a document type; it is not allowed.")
        parser = ElementTree.XMLParser(target=(root := _Root()))
        try:
            parser.feed(data)
            parser.close()
        except (ElementTree.ParseError, LookupError, ValueError) as error:
            raise SourceError(f"{path} is not XML: {error}.") from error
        if root.tag != ROOT:
            raise SourceError(f"{path} has the root {root.tag:.80}; allowed is {ROOT}.")
        self._attributes = root.attributes

    def text(self, name: str) -> str:
        if name not in self._attributes:
            raise SourceError(f"{self.path} has no attribute {name}.")
        return self._attributes[name]

    def number(self, name: str, allowed: Container[int], words: str) -> int:
        text = self.text(name)
        try:
            number = int(text)
        except ValueError:
            number = 0
        if number not in allowed:
            raise SourceError(f"{self.path}: {name} is {text!r}; allowed are {words}.")
        return number

    def numbers(self, name: str) -> Zyx:
        return zyx(self.number(name + axis, range(1, 2**31), "1 to 2147483647") for axis in "ZYX")


class _Root:
    """Parser target that keeps only the first element, however many follow."""

    def __init__(self) -> None:
        self.tag = ""
        self.attributes: dict[str, str] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self.tag:
            self.tag, self.attributes = tag, attributes


def _is_tile_like(name: str) -> bool:
    """Return whether a file may be a tile: it has the name of one, or an ending."""
    ending = name.lower().rpartition(".")[2]
    is_named = TILE.fullmatch(name) is not None or ending in EXTENSIONS + HDF5_EXTENSIONS
    return is_named and is_lasting(name)


def _descriptions(path: str) -> tuple[str, str]:
    return os.path.join(path, DESCRIPTION), os.path.join(path, "tiles", DESCRIPTION)


def _hdf5_voxels(data: bytes, path: str, limit: int) -> NDArray[Any]:
    """Return the voxels (z, y, x) of a tile; links to other files are not followed."""
    with h5py.File(io.BytesIO(data), "r") as file:
        for name in ("main", "IdMap", *file):
            link = file.get(name, getlink=True)
            if isinstance(link, h5py.HardLink) and isinstance(file[name], h5py.Dataset):
                dataset = file[name]
                break
        else:
            raise ValueError("it has no dataset")
        if dataset.is_virtual or dataset.external:
            raise ValueError(f"the voxels of {dataset.name} lie in another file")
        if dataset.ndim not in (2, 3):
            raise ValueError(f"{dataset.name} has {dataset.ndim} axes; allowed are 2 and 3")
        dtype = served_dtype(dataset.dtype, path)
        check_chunk(path, "its dataset", dataset.shape, dataset.dtype.itemsize, limit)
        check_packed(dataset, path, limit)
        voxels = as_served(dataset[()], dtype)
    return voxels if voxels.ndim == 3 else voxels[np.newaxis]
