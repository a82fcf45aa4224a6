"""Stores on disk that a configuration names: their folder, and their size in MiB."""

from __future__ import annotations

import os
from typing import Annotated

from platformdirs import user_cache_dir
from pydantic import Field, Strict

from bfly.config.tree import Model, Path, PathOrNone, Size

__all__ = ["DiskCacheSettings", "KeptPyramid"]


class DiskCacheSettings(Model):
    """Folder of the disk cache for chunks from URLs, and its size in MiB."""

    folder: Path
    size: Size = 10_240


class KeptPyramid(Model):
    """Folder of computed mips, and its size in MiB; size 0 stores none."""

    folder: PathOrNone = None
    size: Annotated[int, Strict(), Field(ge=0, description="a whole number of MiB, 0 for none")] = (
        10240
    )

    @property
    def where(self) -> str:
        """The folder, by default in the user's cache directory."""
        return self.folder or os.path.join(user_cache_dir("bfly"), "pyramids")
