"""What is measured on: synthetic tissue, and real tissue (FIB-25) where it is there.

All volumes are 256 × 512 × 512 voxels: four boxes of 256³ that share no chunk, and a whole
tile of 512². They are gzip HDF5 in chunks of 64³. Larger ones repeat them, or are sparse.
"""

from __future__ import annotations

import gzip
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import numpy as np

from bfly.testing.tissue import make_tissue

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["CHUNK", "SHAPE", "Volume", "repeated", "sparse", "shared_data", "volumes"]

SHAPE = (256, 512, 512)

CHUNK = (64, 64, 64)


@dataclass(frozen=True)
class Volume:
    """Two HDF5 files with a dataset ``main``: EM (uint8) and labels (uint64)."""

    name: str
    em: str
    labels: str


def volumes(folder: Path, console: Console) -> list[Volume]:
    """Give what there is to measure on, the most real last; `folder` keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    with console.status("Making the data, once"):
        tissue = make_tissue(str(folder / "tissue"), SHAPE)
        found = [Volume("synthetic tissue", f"{tissue}/em.h5", f"{tissue}/segmentation.h5")]
        fib25 = shared_data() / "fib25"
        if fib25.is_dir():
            found.append(_fib25(fib25, folder / "fib25"))
    return found


def shared_data() -> Path:
    """Return the folder of real data, which may be missing."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("BFLY_TEST_DATA", beside))


def _fib25(source: Path, folder: Path) -> Volume:
    """Write FIB-25 as the synthetic tissue is: its 250³ voxels, continued as in a mirror."""
    folder.mkdir(exist_ok=True)
    volume = Volume("FIB-25, mirrored", str(folder / "em.h5"), str(folder / "labels.h5"))
    if not os.path.exists(volume.em):
        sections = sorted((source / "grayscale").glob("*.png"))
        em = np.stack([imagecodecs.png_decode(path.read_bytes()) for path in sections])
        _write(volume.em, em)
    if not os.path.exists(volume.labels):
        packed = source / "groundtruth.h5.gz"
        plain = source / "groundtruth.h5"
        data = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
        with h5py.File(io.BytesIO(data)) as file:
            _write(volume.labels, file["stack"][:].astype(np.uint64))
    return volume


def _write(path: str, voxels: np.ndarray[Any, np.dtype[Any]]) -> None:
    """Write a volume, continued to `SHAPE`; the file has its name only when it is complete."""
    more = [(0, wanted - there) for wanted, there in zip(SHAPE, voxels.shape, strict=True)]
    whole = np.pad(voxels, more, mode="symmetric")
    unfinished = f"{path}.tmp"
    with h5py.File(unfinished, "w") as file:
        file.create_dataset("main", data=whole, chunks=CHUNK, compression="gzip")
    os.replace(unfinished, path)


def repeated(path: str, large: Path, times: tuple[int, int, int]) -> None:
    """Write a volume that repeats the EM of another along z, y and x, once, as it is stored."""
    if large.exists():
        return
    unfinished = large.with_suffix(".tmp")
    with h5py.File(path) as file, h5py.File(unfinished, "w") as written:
        main = file["main"]
        shape = tuple(n * count for n, count in zip(main.shape, times, strict=True))
        kept = written.create_dataset("main", shape, "u1", chunks=CHUNK, compression="gzip")
        for place in np.ndindex(*(n // side for n, side in zip(shape, CHUNK, strict=True))):
            start = [i * side for i, side in zip(place, CHUNK, strict=True)]
            mask, stored = main.id.read_direct_chunk(
                tuple(n % there for n, there in zip(start, main.shape, strict=True))
            )
            kept.id.write_direct_chunk(tuple(start), stored, mask)
    unfinished.rename(large)


def sparse(path: str, large: Path, shape: tuple[int, int, int]) -> None:
    """Write a large volume of which only the first box is there: the EM of another."""
    with h5py.File(path) as file, h5py.File(large, "w") as written:
        main = written.create_dataset("main", shape, "u1", chunks=CHUNK, compression="gzip")
        voxels = file["main"][:]
        main[tuple(slice(n) for n in voxels.shape)] = voxels
