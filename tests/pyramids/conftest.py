"""Channels whose mips have to be computed, and those computed by other means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _reduced(voxels: np.ndarray, origin: tuple, factor: tuple, kind: str) -> np.ndarray:
    """Reduce blocks with numpy alone, one by one; they lie on the dataset's grid."""
    starts = [
        sorted({max(0, edge - o) for edge in range(o // f * f, o + size, f)})
        for o, f, size in zip(origin, factor, voxels.shape, strict=True)
    ]
    edges = [[*each, size] for each, size in zip(starts, voxels.shape, strict=True)]
    result = np.empty([len(each) for each in starts], voxels.dtype)
    for index in np.ndindex(result.shape):
        where = tuple(slice(e[i], e[i + 1]) for e, i in zip(edges, index, strict=True))
        block = voxels[where].ravel()
        if kind == "image":
            mean = block.astype(np.float64).mean()
            # np.rint rounds halves to even.
            result[index] = mean if voxels.dtype.kind == "f" else np.rint(mean)
        else:
            labels, counts = np.unique(block, return_counts=True)
            result[index] = labels[counts.argmax()]
    return result


@pytest.fixture(scope="session")
def independent() -> Callable[..., np.ndarray]:
    """Reduce voxels by other means: ``independent(voxels, offset, factor, kind)``."""
    return _reduced


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def make_core(store_folder: Path) -> Callable[..., Core]:
    """Build a core that keeps computed mips, in small tiles."""

    def make(size: int = 1 << 30, block: int = 1 << 13) -> Core:
        runtime = RUNTIME()
        runtime.CACHE.MAX_BLOCK.VALUE = block
        runtime.PYRAMID.FOLDER.VALUE = str(store_folder)
        runtime.PYRAMID.SIZE.VALUE = size
        return Core(Nodb("", runtime))

    return make


@pytest.fixture
def write_channel(tmp_path: Path) -> Callable[..., str]:
    """Write voxels as HDF5 with small chunks; gives the path."""

    def write(voxels: Any, name: str = "channel.h5", chunk: tuple = (8, 32, 32)) -> str:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file.create_dataset("main", data=voxels, chunks=chunk, compression="gzip")
        return str(path)

    return write
