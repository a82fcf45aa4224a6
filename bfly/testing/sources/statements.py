"""Tests of format detection, and of a source's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.geometry import ceil_div
from bfly.sources.voxel_types import served_dtype
from bfly.testing.sources.base import SourceTests
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StatementTests"]


class StatementTests(SourceTests):
    """A source detects its own format, and states correct metadata."""

    def test_guess_takes_its_own(self, path: Path) -> None:
        """Detect files that the format's own library wrote."""
        assert self.source.guess_can_open(str(path)) is True
        if path.is_dir() and self.source.marks is not None:
            assert {entry.name for entry in path.iterdir()} & {*self.source.marks}, "its marks"

    def test_guess_leaves_others(self, tmp_path: Path, path: Path) -> None:
        """Reject other files and folders, with any name, without raising."""
        others = {
            "empty": b"",
            "random": np.random.default_rng(1).bytes(5000),
            "text": b"Not voxels, only words.\n" * 50,
            "json": b'{"some": ["other", "file"]}',
        }
        for name, content in others.items():
            # also with the format's extension: the content decides
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
        """State shape, dtype, kind, voxel size and the factors of the mips."""
        source = self.source.open(str(self.write(tmp_path, random_volume(self.shape, dtype))))
        assert source.dtype == served_dtype(np.dtype(dtype), "the volume")
        assert source.stored_dtype.newbyteorder("<") == np.dtype(dtype).newbyteorder("<")
        if not source.kind_source.startswith("file: "):
            # The voxels change from one to the next: grey values, unless they are too wide.
            wide = source.dtype.kind != "f" and source.dtype.itemsize > 2
            assert source.kind == ("segmentation" if wide else "image"), source.kind_source
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
                # Sizes that are not a multiple may be rounded up or down.
                assert max(1, fine // by) <= coarse <= ceil_div(fine, by) + 1, f"mip {mip}"
            assert min(scale.chunk) >= 1, f"mip {mip}"

    def test_user_overrides(self, path: Path) -> None:
        """Use kind and voxel size from the configuration if given."""
        for kind in ("image", "segmentation"):
            source = self.source.open(str(path), kind=kind, voxel_size=(30.0, 6.0, 6.5))
            assert (source.kind, source.kind_source) == (kind, "config")
            assert source.voxel_size == (30.0, 6.0, 6.5)
            assert source.voxel_size_source == "config"
