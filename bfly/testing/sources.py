"""The contract of a source as a test suite.

Derive a class and say how the format is written; pytest then runs everything below::

    class TestMyFormat(SourceSuite):
        source = MyFormat
        dtypes = ("uint8", "uint16")

        def write(self, folder, volume):
            path = folder / "volume.mine"
            my_library.save(path, volume)
            return path
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfly.core import Core
from bfly.databases.nodb import Nodb
from bfly.errors import NotAllowed, SourceError
from bfly.files import Files
from bfly.geometry import BoundingBox, ceil_div, indexes, zyx
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery
from bfly.sources.images import decode
from bfly.sources.source import kind_of
from bfly.testing.volumes import boxes, padded_slice, random_volume
from bfly.volume import Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.sources.source import Datasource

__all__ = ["SourceSuite"]


class SourceSuite(ABC):
    """What every source has to pass.

    Attributes
    ----------
    source : type
        The class under test.
    dtypes : tuple of str
        The dtypes that the format can hold and that are served as they are.
    shape : tuple of int
        The volume (z, y, x) that most tests use; more than one chunk along each axis that
        the format divides is best.
    tolerance : int
        By how much a voxel may differ, for lossy formats.
    """

    source: ClassVar[type[Datasource]]
    dtypes: ClassVar[tuple[str, ...]] = ("uint8",)
    shape: ClassVar[Zyx] = (5, 40, 33)
    tolerance: ClassVar[int] = 0

    @abstractmethod
    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        """Store a volume (z, y, x) in an empty folder and give the channel's ``path``."""

    def voxel_file(self, path: Path) -> Path:
        """Give a file with voxels of a channel; by default the path, or the largest in it."""
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
        """Give the voxels that are in `path`."""
        return random_volume(self.shape, self.dtypes[0])

    @pytest.fixture
    def path(self, tmp_path: Path, volume: NDArray[Any]) -> Path:
        """Give the path of a channel that was written."""
        folder = tmp_path / "allowed"
        folder.mkdir()
        return self.write(folder, volume)

    @pytest.fixture
    def opened(self, path: Path) -> Datasource:
        """Give the channel at `path`, open."""
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
        if self.tolerance:
            assert got.shape == expected.shape
            whole = BoundingBox.of_shape(zyx(volume.shape))
            within = (box & whole).relative_to(box.start).slices
            got = got.copy()
            np.testing.assert_allclose(got[within], expected[within], rtol=0, atol=self.tolerance)
            got[within] = expected[within]
        np.testing.assert_array_equal(got, expected, err_msg=str(box))

    # What the source says

    def test_guess_takes_its_own(self, path: Path) -> None:
        """Recognise what the format's own library wrote."""
        assert self.source.guess_can_open(str(path)) is True
        if path.is_dir() and self.source.marks is not None:
            assert {each.name for each in path.iterdir()} & {*self.source.marks}, "its marks"

    def test_guess_leaves_others(self, tmp_path: Path, path: Path) -> None:
        """Leave other files and folders alone, whatever their names, without raising."""
        others = {
            "empty": b"",
            "random": np.random.default_rng(1).bytes(5000),
            "text": b"Not voxels, only words.\n" * 50,
            "json": b'{"some": ["other", "file"]}',
        }
        for name, content in others.items():
            # its own ending too: the content decides
            for other in (tmp_path / name, tmp_path / f"{name}{path.suffix}"):
                other.write_bytes(content)
                assert self.source.guess_can_open(str(other)) is False, f"{name}: {other.name}"
            folder = tmp_path / f"{name} folder"
            folder.mkdir()
            assert self.source.guess_can_open(str(folder)) is False, "an empty folder"
            (folder / f"{name}{self.voxel_file(path).suffix}").write_bytes(content)
            assert self.source.guess_can_open(str(folder)) is False, f"a folder with {name}"
        assert self.source.guess_can_open(str(tmp_path / "missing")) is False
        assert self.source.guess_can_open(str(tmp_path / f"missing{path.suffix}")) is False

    def test_description(self, tmp_path: Path, dtype: str) -> None:
        """State shape, dtype, kind and the halving of the mips."""
        source = self.source.open(str(self.write(tmp_path, random_volume(self.shape, dtype))))
        assert source.dtype == np.dtype(dtype).newbyteorder("<")
        assert source.kind == kind_of(source.dtype)
        if source.voxel_size is None:
            assert source.voxel_size_source == "assumed"
        else:
            assert all(size > 0 for size in source.voxel_size)
            assert source.voxel_size_source.startswith("file: ")
        finest = source.scales[0]
        assert (finest.shape, finest.factor) == (self.shape, (1, 1, 1))
        for mip, scale in source.scales.items():
            assert scale.factor[1:] == (2**mip, 2**mip), f"mip {mip}"
            for fine, coarse, by in zip(self.shape, scale.shape, scale.factor, strict=True):
                # Sizes that are no multiple may be rounded either way.
                assert max(1, fine // by) <= coarse <= ceil_div(fine, by) + 1, f"mip {mip}"
            assert min(scale.chunk) >= 1, f"mip {mip}"

    def test_user_overrides(self, path: Path) -> None:
        """Take kind and voxel size from the user where given."""
        for kind in ("image", "segmentation"):
            source = self.source.open(str(path), kind=kind, voxel_size=(30.0, 6.0, 6.5))
            assert source.kind == kind
            assert source.voxel_size == (30.0, 6.0, 6.5)
            assert source.voxel_size_source == "config"

    # What it reads

    def test_read_equals_numpy(self, tmp_path: Path, dtype: str) -> None:
        """Read boxes inside, at, across and outside the borders as numpy cuts them."""
        volume = random_volume(self.shape, dtype)
        source = self.source.open(str(self.write(tmp_path, volume)))
        z, y, x = self.shape
        for box in (
            BoundingBox.of_shape(self.shape),
            BoundingBox((-1, -2, -3), (z + 1, y + 2, x + 3)),
            BoundingBox((0, 0, 0), (1, 1, 1)),
            BoundingBox((z - 1, y - 1, x - 1), (z, y, x)),
            BoundingBox((z - 1, y - 1, x - 1), (z + 1, y + 1, x + 1)),
            BoundingBox((z, 0, 0), (z + 1, y, x)),
            BoundingBox((-5, 0, 0), (-2, y, x)),
        ):
            self.assert_read(source, volume, box)
        assert source.read(0, BoundingBox((0, 0, 0), (1, 0, 5))).shape == (1, 0, 5)

        @settings(max_examples=50, deadline=None)
        @given(boxes(self.shape))
        def check(box: BoundingBox) -> None:
            self.assert_read(source, volume, box)

        check()

    def test_any_volume(self) -> None:
        """Do the same for volumes of any shape, single voxels included."""
        sides = st.integers(1, 24)

        @settings(max_examples=20, deadline=None)
        @given(st.data(), st.tuples(st.integers(1, 6), sides, sides), st.sampled_from(self.dtypes))
        def check(data: st.DataObject, shape: Zyx, dtype: str) -> None:
            volume = random_volume(shape, dtype)
            with tempfile.TemporaryDirectory() as folder:
                source = self.source.open(str(self.write(Path(folder), volume)))
                for _ in range(3):
                    self.assert_read(source, volume, data.draw(boxes(shape)))

        check()

    def test_any_cutout(self) -> None:
        """Do the same with `Core`, for channels anywhere in their dataset, in tiles of any size."""
        core = Core(Nodb("", RUNTIME()))
        sides, place = st.integers(1, 24), st.integers(-30, 30)
        shapes = st.tuples(st.integers(1, 6), sides, sides)
        offsets = st.tuples(st.integers(-5, 5), place, place)
        largest = st.sampled_from([64, 4096, 1 << 20])

        @settings(max_examples=30, deadline=None)
        @given(st.data(), shapes, st.sampled_from(self.dtypes), offsets, largest)
        def check(
            data: st.DataObject, shape: Zyx, dtype: str, offset: Zyx, largest_tile: int
        ) -> None:
            volume = random_volume(shape, dtype)
            with tempfile.TemporaryDirectory() as folder:
                path = str(self.write(Path(folder), volume))
                query = DataQuery(path=path, offset=offset)
                opened = Volume(self.source.open(path), query.key, offset, largest_tile)
                # Where the core looks first: a source under test need not be registered.
                core._cache.set(query.key, opened.keywords)
                for _ in range(3):
                    box = data.draw(boxes(shape))
                    got = core.find_tiles(query.part(0, box.shift(offset)))
                    assert got.dtype == opened.dtype
                    self.assert_equal(got, volume, box)

        check()

    def test_coarser_mips_are_consistent(self, opened: Datasource) -> None:
        """Read the same voxels of a mip at once and in boxes."""
        rng = np.random.default_rng(2)
        for mip, scale in opened.scales.items():
            whole = opened.read(mip, scale.box)
            assert whole.any(), f"mip {mip} is empty"
            for _ in range(10):
                box = _random_box(rng, scale.shape)
                np.testing.assert_array_equal(opened.read(mip, box), padded_slice(whole, box))

    def test_voxels_are_read_to_where_they_are_wanted(self, opened: Datasource) -> None:
        """Fill a part of a larger array, and nothing around it."""
        rng = np.random.default_rng(3)
        for mip, scale in opened.scales.items():
            for _ in range(10):
                box = _random_box(rng, scale.shape) & scale.box
                if not box.size:
                    continue
                around = np.ones(zyx(n + 2 for n in box.shape), opened.dtype)
                opened.read_into(mip, box, around[1:-1, 1:-1, 1:-1])
                expected = np.pad(opened.read(mip, box), 1, constant_values=1)
                np.testing.assert_array_equal(around, expected, err_msg=f"mip {mip}, {box}")

    def test_stored_chunks_are_what_is_read(self, opened: Datasource) -> None:
        """Give no chunk as it is stored but what unpacks to the voxels that are read."""
        for mip, scale in opened.scales.items():
            for index in indexes(scale.box.in_tiles(scale.chunk)):
                data = opened.read_encoded(mip, index)
                if data is None:
                    continue
                assert opened.stored_as is not None
                box = BoundingBox.of_shape((1, 1, 1), index).refined(scale.chunk) & scale.box
                voxels = opened.read(mip, box)
                if opened.stored_as.coding == "deflate":
                    data = zlib.decompress(data)
                if opened.stored_as.format == "raw":
                    assert data == voxels.tobytes(), f"mip {mip}, chunk {index}"
                else:
                    got = decode(data, opened.path, labels=opened.kind == "segmentation")
                    np.testing.assert_array_equal(got, voxels, err_msg=f"mip {mip}, chunk {index}")

    def test_result_is_the_callers(self, opened: Datasource, volume: NDArray[Any]) -> None:
        """Read right after a caller has overwritten a result."""
        box = BoundingBox.of_shape(self.shape)
        first = opened.read(0, box)
        if first.flags.writeable:
            first[...] = 0
        self.assert_read(opened, volume, box)

    def test_many_threads(self, opened: Datasource, volume: NDArray[Any]) -> None:
        """Serve eight threads at once."""
        rng = np.random.default_rng(3)
        random = [_random_box(rng, self.shape) for _ in range(200)]
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(self.assert_read, opened, volume, box) for box in random]:
                done.result()

    # What it does with bad files

    def test_missing(self, tmp_path: Path, path: Path) -> None:
        """Name a path that is not there."""
        missing = str(tmp_path / f"missing{path.suffix}")
        with pytest.raises(SourceError, match="missing"):
            self.source.open(missing)

    @pytest.mark.parametrize("left", [0.0, 0.1, 0.5, 0.9])
    def test_truncated(self, path: Path, left: float) -> None:
        """Name a file that was cut short, and put no zeros in its place."""
        file = self.voxel_file(path)
        os.truncate(file, int(left * file.stat().st_size))
        with pytest.raises(SourceError) as caught:
            self.read_all(path)
        assert file.name in str(caught.value), "the message does not name the file"

    def test_noticed_when_changed(self, path: Path, volume: NDArray[Any]) -> None:
        """Name a file that was written again since it was read."""
        source = self.source.open(str(path))
        self.assert_read(source, volume, BoundingBox.of_shape(self.shape))
        assert source.changed() is None
        file = self.voxel_file(path)
        file.write_bytes(file.read_bytes())
        _touch(file)
        changed = source.changed()
        assert changed is not None
        assert file.samefile(changed)

    def test_opened_again_has_the_new_voxels(self, path: Path, volume: NDArray[Any]) -> None:
        """Serve what is on the disk at the time of opening."""
        files, whole = Files(), BoundingBox.of_shape(self.shape)
        self.assert_read(self.source.open(str(path), files=files), volume, whole)
        folder = next(parent for parent in (path, *path.parents) if parent.name == "allowed")
        shutil.rmtree(folder)
        folder.mkdir()
        other = random_volume(self.shape, self.dtypes[0], seed=1)
        assert self.write(folder, other) == path
        self.assert_read(self.source.open(str(path), files=files), other, whole)

    # What it may not read

    def test_outside_allowed_paths(self, tmp_path: Path, path: Path) -> None:
        """Refuse a path outside the allowed folders, and a link to it."""
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        with pytest.raises(NotAllowed):
            self.source.open(str(path), files=Files([str(elsewhere)]))
        link = elsewhere / f"link{path.suffix}"
        link.symlink_to(path)
        with pytest.raises(NotAllowed):
            self.source.open(str(link), files=Files([str(elsewhere)]))

    def test_link_that_leaves_allowed_paths(self, tmp_path: Path, path: Path) -> None:
        """Refuse a file that is a link out of the allowed folders."""
        file = self.voxel_file(path)
        outside = tmp_path / f"outside{file.suffix}"
        file.rename(outside)
        file.symlink_to(outside)
        with pytest.raises(NotAllowed):
            self.read_all(path, Files([str(tmp_path / "allowed")]))

    def read_all(self, path: Path, files: Files | None = None) -> None:
        """Open a channel and read all of mip 0."""
        source = self.source.open(str(path), files=files)
        source.read(0, source.scales[0].box)


def _random_box(rng: np.random.Generator, shape: Zyx) -> BoundingBox:
    ends = [sorted(rng.choice(np.arange(-3, size + 4), 2, replace=False)) for size in shape]
    return BoundingBox(zyx(a for a, _ in ends), zyx(b for _, b in ends))


def _touch(file: Path) -> None:
    """Move a file's time by a second: two writes within one tick of the clock look alike."""
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
