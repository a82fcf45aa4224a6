"""Chunks that a source returns as they are stored."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox, indexes
from bfly.storage.files import Files
from bfly.testing.collection import collect_if
from bfly.testing.sources.base import SourceTests, touch
from bfly.testing.sources.unpacking import unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from bfly.sources.encoded_chunks import StoredAs
    from bfly.sources.source import Datasource

__all__ = ["StoringTests"]


class StoringTests(SourceTests):
    """A chunk that is returned as stored holds the voxels that are read, on the same conditions.

    Of a source that returns no chunk as stored (`given_as` is empty) only that is tested.
    """

    def __init_subclass__(cls, **words: Any) -> None:
        super().__init_subclass__(**words)
        collect_if(
            bool(cls.given_as),
            cls,
            "test_nothing_cut_short_is_given",
            "test_a_chunk_that_was_given_is_watched",
            "test_nothing_outside_allowed_paths_is_given",
        )

    def test_stored_chunks_are_what_is_read(self, opened: Datasource) -> None:
        """Chunks as stored unpack to the voxels that are read."""
        given = set()
        for way, mip, box, data in _given(opened):
            got = unpacked(data, way, box.shape, opened.dtype)
            np.testing.assert_array_equal(got, opened.read(mip, box), err_msg=f"{mip} {box} {way}")
            given.add(way)
        assert given == self.given_as

    @pytest.mark.parametrize("left", [0.0, 0.1, 0.5, 0.9, 0.99])
    def test_nothing_cut_short_is_given(
        self, path: Path, volume: NDArray[Any], left: float
    ) -> None:
        """An incomplete chunk of a truncated file is not returned."""
        file = self.voxel_file(path)
        os.truncate(file, int(left * file.stat().st_size))
        with suppress(SourceError):
            opened = self.source.open(str(path))
            for way, mip, box, data in _given(opened):
                if mip == 0:
                    self.assert_equal(unpacked(data, way, box.shape, opened.dtype), volume, box)

    def test_a_chunk_that_was_given_is_watched(self, path: Path) -> None:
        """`changed` names a file that was written again after a chunk of it was returned."""
        file = self.voxel_file(path)
        source = self.source.open(str(path))
        assert sum(1 for _ in _given(source))
        assert source.changed() is None
        file.write_bytes(file.read_bytes())
        touch(file)
        changed = source.changed()
        assert changed is not None
        assert file.samefile(changed)

    def test_nothing_outside_allowed_paths_is_given(self, tmp_path: Path, path: Path) -> None:
        """A file that is a link out of the allowed folders is refused."""
        file = self.voxel_file(path)
        outside = tmp_path / f"outside{file.suffix}"
        file.rename(outside)
        file.symlink_to(outside)
        with pytest.raises(NotAllowed):
            list(_given(self.source.open(str(path), files=Files([str(tmp_path / "allowed")]))))


def _given(source: Datasource) -> Iterator[tuple[StoredAs, int, BoundingBox, bytes]]:
    """Yield all chunks that a source returns as stored, with their mips and boxes."""
    for mip, scale in source.scales.items():
        for index in indexes(scale.box.in_tiles(scale.chunk)):
            box = BoundingBox.of_shape((1, 1, 1), index).refined(scale.chunk) & scale.box
            for way in source.stored_as(mip):
                data = source.read_encoded(mip, index, way)
                if data is not None:
                    yield way, mip, box, data
