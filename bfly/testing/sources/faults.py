"""Tests of sources with files that are damaged, changed, or not allowed."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox
from bfly.storage.files import Files
from bfly.testing.sources.base import SourceTests, touch
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


__all__ = ["FaultTests"]


class FaultTests(SourceTests):
    """A fault is an error that names the file, never fill."""

    def test_missing(self, tmp_path: Path, path: Path) -> None:
        """Name a missing path."""
        missing = str(tmp_path / f"missing{path.suffix}")
        with pytest.raises(SourceError, match="missing"):
            self.source.open(missing)

    @pytest.mark.parametrize("left", [0.0, 0.1, 0.5, 0.9])
    def test_truncated(self, path: Path, left: float) -> None:
        """Name a truncated file, and return no zeros in its place."""
        file = self.voxel_file(path)
        os.truncate(file, int(left * file.stat().st_size))
        with pytest.raises(SourceError) as caught:
            self.read_all(path)
        assert file.name in str(caught.value), "the message does not name the file"

    def test_noticed_when_changed(self, path: Path, volume: NDArray[Any]) -> None:
        """Name a file that was rewritten after it was read."""
        source = self.source.open(str(path))
        self.assert_read(source, volume, BoundingBox.of_shape(self.shape))
        assert source.changed() is None
        file = self.voxel_file(path)
        file.write_bytes(file.read_bytes())
        touch(file)
        changed = source.changed()
        assert changed is not None
        assert file.samefile(changed)

    def test_opened_again_has_the_new_voxels(self, path: Path, volume: NDArray[Any]) -> None:
        """Read the voxels on disk at the time of opening."""
        files, box = Files(), BoundingBox.of_shape(self.shape)
        self.assert_read(self.source.open(str(path), files=files), volume, box)
        folder = next(parent for parent in (path, *path.parents) if parent.name == "allowed")
        shutil.rmtree(folder)
        folder.mkdir()
        other = random_volume(self.shape, self.dtypes[0], seed=1)
        assert self.write(folder, other) == path
        self.assert_read(self.source.open(str(path), files=files), other, box)

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
        """Refuse a link that leads outside the allowed folders."""
        file = self.voxel_file(path)
        outside = tmp_path / f"outside{file.suffix}"
        file.rename(outside)
        file.symlink_to(outside)
        with pytest.raises(NotAllowed):
            self.read_all(path, Files([str(tmp_path / "allowed")]))
