"""What all tests of a source share."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from bfly.geometry import BoundingBox, zyx
from bfly.sources.voxel_types import served_dtype
from bfly.storage.files import Files
from bfly.testing.volumes import padded_slice, random_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredAs
    from bfly.sources.source import Datasource

__all__ = ["SourceTests", "random_box", "touch"]


class SourceTests(ABC):
    """What the tests of a source have in common, and what a derived class may set.

    Attributes
    ----------
    source : type
        The class under test.
    dtypes : tuple of str
        The dtypes that the format can hold. Floats of all widths are read as float32; all others
        are read as they are.
    shape : tuple of int
        The volume (z, y, x) that most tests use; more than one chunk along each axis that
        the format divides is best.
    tolerance : int
        By how much a voxel may differ, for lossy formats.
    given_as : frozenset of StoredAs
        The ways in which chunks that are written are given as they are stored (see
        `Datasource.read_encoded`).
    """

    source: ClassVar[type[Datasource]]
    dtypes: ClassVar[tuple[str, ...]] = ("uint8",)
    shape: ClassVar[Zyx] = (5, 40, 33)
    tolerance: ClassVar[int] = 0
    given_as: ClassVar[frozenset[StoredAs]] = frozenset()

    @abstractmethod
    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        """Store a volume (z, y, x) in an empty folder and give the channel's ``path``."""

    def voxel_file(self, path: Path) -> Path:
        """Return a file with voxels of a channel; by default the path, or the largest in it."""
        if path.is_file():
            return path
        return max(
            sorted(p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
        )

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a test that takes a `dtype` once for each of `dtypes`."""
        if "dtype" in metafunc.fixturenames:
            metafunc.parametrize("dtype", self.dtypes)

    @pytest.fixture
    def volume(self) -> NDArray[Any]:
        """Return the voxels that are in `path`."""
        return random_volume(self.shape, self.dtypes[0])

    @pytest.fixture
    def path(self, tmp_path: Path, volume: NDArray[Any]) -> Path:
        """Return the path of a channel that was written."""
        folder = tmp_path / "allowed"
        folder.mkdir()
        return self.write(folder, volume)

    @pytest.fixture
    def opened(self, path: Path) -> Datasource:
        """Return the channel at `path`, open."""
        return self.source.open(str(path))

    def assert_read(self, source: Datasource, volume: NDArray[Any], box: BoundingBox) -> None:
        """Read a box and compare it with the volume: voxels, fill, dtype, layout."""
        got = source.read(0, box)
        assert got.dtype == source.dtype, f"{box}: {got.dtype}"
        assert got.flags.c_contiguous, f"{box}: not in C order"
        self.assert_equal(got, volume, box)

    def assert_equal(self, got: NDArray[Any], volume: NDArray[Any], box: BoundingBox) -> None:
        """Compare what was read with a box of the volume: within, and the fill around it."""
        expected = padded_slice(volume, box)
        if expected.dtype.kind == "f":
            expected = expected.astype(served_dtype(expected.dtype, "the volume"))
        if self.tolerance:
            assert got.shape == expected.shape
            whole = BoundingBox.of_shape(zyx(volume.shape))
            within = (box & whole).relative_to(box.start).slices
            got = got.copy()
            np.testing.assert_allclose(got[within], expected[within], rtol=0, atol=self.tolerance)
            got[within] = expected[within]
        np.testing.assert_array_equal(got, expected, err_msg=str(box))

    def read_all(self, path: Path, files: Files | None = None) -> None:
        """Open a channel and read all of mip 0."""
        source = self.source.open(str(path), files=files)
        source.read(0, source.scales[0].box)


def random_box(rng: np.random.Generator, shape: Zyx) -> BoundingBox:
    """Return a box that touches a volume or lies beside it."""
    ends = [sorted(rng.choice(np.arange(-3, size + 4), 2, replace=False)) for size in shape]
    return BoundingBox(zyx(a for a, _ in ends), zyx(b for _, b in ends))


def touch(file: Path) -> None:
    """Move a file's time by a second: two writes within one tick of the clock look alike."""
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
