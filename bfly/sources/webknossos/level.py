"""One mag of a layer: an array whose voxels count from the first voxel of the dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from bfly.geometry import BoundingBox, copy_rows, zyx
from bfly.storage.files import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredAs
    from bfly.sources.source import Datasource

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["ArrayLevel", "Level"]


class Level(ABC):
    """A mag of a layer.

    Attributes
    ----------
    dtype : numpy.dtype
        As served.
    chunk : tuple of int
        Shape of the pieces that are decoded at once.
    phase : tuple of int
        First voxel (z, y, x) of one of them; they lie on a regular grid.
    """

    dtype: np.dtype[Any]
    chunk: Zyx
    phase: Zyx = (0, 0, 0)

    @property
    def is_remote(self) -> bool:
        """Whether the voxels are behind a URL."""
        return False

    @abstractmethod
    def extent(self) -> BoundingBox:
        """Return where voxels are stored, counted from the first voxel of the dataset."""

    @abstractmethod
    def covers(self, box: BoundingBox) -> bool:
        """Return whether the array has each voxel of a box, stored or blank by its format."""

    @abstractmethod
    def read_into(self, box: BoundingBox, voxels: Voxels) -> None:
        """Read a box into an array of its shape; voxels outside the array are 0."""

    @abstractmethod
    def reads_at_once(self, box: BoundingBox) -> bool:
        """Return whether a box is best read directly (see `Datasource.reads_at_once`)."""

    @abstractmethod
    def changed(self) -> str | None:
        """Return the first file that changed since it was read."""

    @abstractmethod
    def all_files(self) -> Iterable[str]:
        """Yield every file that voxels may be read from."""

    def stored_as(self) -> Sequence[StoredAs]:
        """Return the forms of chunks (see `Datasource.stored_as`)."""
        return ()

    def read_encoded(self, box: BoundingBox, way: StoredAs) -> bytes | None:
        """Return the chunk as it is stored that holds exactly a box."""
        return None


class ArrayLevel(Level):
    """A mip of another format.

    Parameters
    ----------
    source : Datasource
        The array.
    mip : int
        One of its mips.
    origin : tuple of int
        Position of its first voxel (z, y, x), in voxels of the mip; its chunks begin there.
    """

    def __init__(self, source: Datasource, mip: int = 0, origin: Zyx = (0, 0, 0)) -> None:
        self._source, self._mip, self.phase = source, mip, origin
        self._scale = source.scales[mip]
        self.dtype, self.chunk = source.dtype, self._scale.chunk

    @property
    def is_remote(self) -> bool:
        """Whether the array is behind a URL."""
        return is_url(self._source.path)

    def _own(self, box: BoundingBox) -> BoundingBox:
        """Return a box as the array counts its voxels."""
        return box.relative_to(self.phase)

    def extent(self) -> BoundingBox:
        """Return the box of the array."""
        return self._scale.box.shift(self.phase)

    def covers(self, box: BoundingBox) -> bool:
        """Return whether a box is inside the array."""
        return box in self.extent()

    def read_into(self, box: BoundingBox, voxels: Voxels) -> None:
        """Read a box; zeros outside the array."""
        own = self._own(box)
        if own in self._scale.box:
            self._source.read_into(self._mip, own, voxels)
        else:
            copy_rows(self._source.read(self._mip, own), voxels)

    def reads_at_once(self, box: BoundingBox) -> bool:
        """Return what the array says of the box."""
        return self._source.reads_at_once(self._mip, self._own(box) & self._scale.box)

    def changed(self) -> str | None:
        """Return what the array says."""
        return self._source.changed()

    def all_files(self) -> Iterable[str]:
        """Yield the files of the array."""
        return self._source.all_files()

    def stored_as(self) -> Sequence[StoredAs]:
        """Return the forms of the array's chunks."""
        return self._source.stored_as(self._mip)

    def read_encoded(self, box: BoundingBox, way: StoredAs) -> bytes | None:
        """Return the chunk, if its part inside the array is the box."""
        own, chunk = self._own(box), self._scale.chunk
        index = zyx(a // c for a, c in zip(own.start, chunk, strict=True))
        stored = BoundingBox.of_shape((1, 1, 1), index).refined(chunk) & self._scale.box
        return self._source.read_encoded(self._mip, index, way) if stored == own else None
