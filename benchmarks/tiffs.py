"""Random cutouts from TIFF, through `Core.find_tiles`, beside tifffile as its users read a part.

That is a memory map of what is not compressed, and zarr on tifffile's store of tiles. The page
cache is warm for both; the tile cache of Butterfly is empty at each cutout.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import tifffile
import zarr

from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.reading import opened
from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Read = Callable[[BoundingBox], Voxels]

__all__ = ["Tiffs", "measure"]

SHAPES = ((64, 64, 64), (1, 512, 512), (256, 256, 256))

THREADS = 2


@dataclass
class Tiffs:
    """Cutouts of one shape from one file.

    Parameters
    ----------
    file : str
        How the voxels are stored.
    shape : tuple of int
        Of the cutouts (z, y, x), in voxels.
    samples : Samples
        Seconds of a cutout, by reader.
    """

    file: str
    shape: tuple[int, int, int]
    samples: Samples


def measure(source: str, folder: Path, rounds: int) -> list[Tiffs]:
    """Write a volume as TIFF in two ways and measure cutouts of every shape.

    Parameters
    ----------
    source : str
        HDF5 with a dataset ``main``.
    folder : Path
        For the TIFF files.
    rounds : int
        How many samples are taken of each reader.

    Raises
    ------
    WrongAnswer
        A reader did not give the volume's voxels.
    """
    with h5py.File(source) as file:
        truth = file["main"][:]
    plain, tiled = folder / "plain.tif", folder / "tiled.tif"
    tifffile.imwrite(plain, truth, photometric="minisblack")
    tifffile.imwrite(tiled, truth, photometric="minisblack", tile=(128, 128), compression="zlib")
    with tifffile.imread(tiled, aszarr=True) as store:
        mapped, array = tifffile.memmap(plain, mode="r"), zarr.open(store, mode="r")
        files: dict[str, tuple[Path, Read]] = {
            "not compressed": (plain, lambda box: np.array(mapped[box.slices])),
            "128² tiles, zlib": (tiled, lambda box: np.asarray(array[box.slices])),
        }
        return [
            _row(name, path, theirs, truth, shape, rounds)
            for name, (path, theirs) in files.items()
            for shape in SHAPES
        ]


def _row(
    name: str, path: Path, theirs: Read, truth: Voxels, shape: tuple[int, int, int], rounds: int
) -> Tiffs:
    random = {reader: np.random.default_rng(0) for reader in ("tifffile", "bfly")}

    def sample(reader: str, read: Read) -> float:
        room = [n - s + 1 for n, s in zip(truth.shape, shape, strict=True)]
        z, y, x = map(int, random[reader].integers(0, room))
        box = BoundingBox.of_shape(shape, (z, y, x))
        start = time.perf_counter()
        voxels = read(box)
        seconds = time.perf_counter() - start
        if not np.array_equal(voxels, truth[box.slices]):
            raise WrongAnswer(f"{reader}: the cutout {box} of {path.name} is not as written")
        return seconds

    def ours() -> float:
        with opened(str(path), THREADS) as read:
            return sample("bfly", read)

    contestants = {"tifffile": lambda: sample("tifffile", theirs), "bfly": ours}
    return Tiffs(name, shape, interleaved(rounds, contestants))
