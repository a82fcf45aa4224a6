"""Tests of the voxels that a source reads."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bfly.core.channels import OpenChannel
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.geometry import BoundingBox, zyx
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery
from bfly.testing.sources.base import SourceTests, random_box
from bfly.testing.volumes import boxes, padded_slice, random_volume
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.sources.source import Datasource

__all__ = ["ReadingTests"]


class ReadingTests(SourceTests):
    """Voxels equal those of numpy, for any volume, box and number of callers."""

    def test_read_equals_numpy(self, tmp_path: Path, dtype: str) -> None:
        """Read boxes inside, at, across and outside the borders as numpy does."""
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
        """Read volumes of any shape, single voxels included."""
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
        """Read through `Core`, for channels at any offset, in tiles of any size."""
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
                query = DataQuery(path=path, voxel_offset=offset)
                opened = Volume(self.source.open(path), query.spec, largest_tile)
                # The core looks in its cache first, so the source need not be registered.
                core._cache.set(query.key, OpenChannel.of(opened))
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
            volume = opened.read(mip, scale.box)
            assert volume.any(), f"mip {mip} is empty"
            for _ in range(10):
                box = random_box(rng, scale.shape)
                np.testing.assert_array_equal(opened.read(mip, box), padded_slice(volume, box))

    def test_voxels_are_read_to_where_they_are_wanted(self, opened: Datasource) -> None:
        """Fill a part of a larger array, and leave the rest unchanged."""
        rng = np.random.default_rng(3)
        for mip, scale in opened.scales.items():
            for _ in range(10):
                box = random_box(rng, scale.shape) & scale.box
                if not box.size:
                    continue
                around = np.ones(zyx(n + 2 for n in box.shape), opened.dtype)
                opened.read_into(mip, box, around[1:-1, 1:-1, 1:-1])
                expected = np.pad(opened.read(mip, box), 1, constant_values=1)
                np.testing.assert_array_equal(around, expected, err_msg=f"mip {mip}, {box}")

    def test_result_is_the_callers(self, opened: Datasource, volume: NDArray[Any]) -> None:
        """Read correctly after a caller has overwritten an earlier result."""
        box = BoundingBox.of_shape(self.shape)
        first = opened.read(0, box)
        if first.flags.writeable:
            first[...] = 0
        self.assert_read(opened, volume, box)

    def test_many_threads(self, opened: Datasource, volume: NDArray[Any]) -> None:
        """Read correctly in eight threads at once."""
        rng = np.random.default_rng(3)
        random = [random_box(rng, self.shape) for _ in range(200)]
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(self.assert_read, opened, volume, box) for box in random]:
                done.result()
