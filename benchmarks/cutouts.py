"""Random cutouts from every format, through `Core.find_tiles`, beside what users would read with.

All readers have their volume open. Those that keep chunks, TensorStore, CloudVolume and Butterfly
through TensorStore, may keep 64 MiB of them, a quarter of the volume; Butterfly's tile cache is
empty at each cutout. All are asked for the same boxes, in turns. The page cache is warm.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np
import tensorstore as ts
import tifffile
import zarr
from cloudvolume import CloudVolume
from PIL import Image

from benchmarks.formats import DATASETS, TENSORS
from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.reading import forget_tiles, query_of
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.geometry import BoundingBox, indexes
from bfly.keywords import RUNTIME
from tests.fixtures import knossos_cubes

try:
    import wkw
except ImportError:  # it has no wheels for this machine
    wkw = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Lent = contextlib.AbstractContextManager["Reader"]

__all__ = ["Cutouts", "measure"]

SHAPES = ((64, 64, 64), (1, 512, 512), (256, 256, 256))
"""Of the cutouts (z, y, x)."""

LONG = 3.0
"""Seconds that the readers of a cutout are compared for at least, up to `MOST` rounds: of what
takes less than a millisecond a few samples say little."""

MOST = 20
"""Times as many rounds as are asked for."""

POOL = 64 << 20
"""Bytes, as in `bfly.sources.shared.kvstore`."""


class Reader(NamedTuple):
    """Who reads: what gives a box, and what is done before each, which is not timed."""

    read: Callable[[BoundingBox], Voxels]
    forget: Callable[[], None] = lambda: None


@dataclass
class Cutouts:
    """Cutouts of one shape from one format.

    Parameters
    ----------
    format : str
        One of `benchmarks.formats.FORMATS`.
    shape : tuple of int
        (z, y, x), in voxels.
    samples : Samples
        Seconds of a cutout, by reader; one of them is ``bfly``.
    """

    format: str
    shape: tuple[int, int, int]
    samples: Samples


def measure(paths: dict[str, Path], truth: Voxels, rounds: int) -> Iterator[Cutouts]:
    """Measure the cutouts of every format and shape.

    Parameters
    ----------
    paths : dict
        See `benchmarks.formats.written`.
    truth : numpy.ndarray
        The volume that is in each of them.
    rounds : int
        How many samples are taken of each reader, or more, where a cutout takes little time.

    Raises
    ------
    WrongAnswer
        A reader did not give the volume's voxels.
    """
    for name, path in paths.items():
        with contextlib.ExitStack() as stack:
            readers = {who: stack.enter_context(lent) for who, lent in _readers(name, path).items()}
            for shape in SHAPES:
                contestants = {
                    who: _sampling(f"{who}, {name}", reader, shape, truth)
                    for who, reader in readers.items()
                }
                once = sum(sum(found) for found in interleaved(1, contestants).values())
                enough = max(rounds, min(rounds * MOST, round(LONG / once)))
                yield Cutouts(name, shape, interleaved(enough, contestants))


def _readers(name: str, path: Path) -> dict[str, Lent]:
    """Give those who can read a format, as its users would."""
    found: dict[str, Lent] = {"bfly": _bfly(path)}
    if name in TENSORS:
        found["TensorStore"] = _tensorstore(TENSORS[name], path)
    if name in DATASETS:
        # The XML of BigDataViewer is beside the file.
        file = path.with_suffix(".h5") if path.suffix == ".xml" else path
        found["h5py"] = _h5py(file, DATASETS[name])
    elif name.startswith("zarr"):
        array = zarr.open_array(path, mode="r")
        found["zarr-python"] = contextlib.nullcontext(
            Reader(lambda box: np.asarray(array[box.slices]))
        )
    elif name.startswith("precomputed"):
        found["CloudVolume"] = _cloudvolume(path)
    elif name.startswith("wkw") and wkw:
        found["wkw"] = _wkw(path)
    elif name.startswith("knossos"):
        found["plain Python"] = contextlib.nullcontext(Reader(partial(_knossos, path)))
    elif name == "tiff, tiled":
        found["tifffile"] = _tifffile(path)
    elif name == "tiff, plain":
        mapped = tifffile.memmap(path, mode="r")
        found["tifffile"] = contextlib.nullcontext(Reader(lambda box: np.array(mapped[box.slices])))
    return found


@contextlib.contextmanager
def _bfly(path: Path) -> Iterator[Reader]:
    core = Core(Nodb("", RUNTIME()))
    query = query_of(str(path), BoundingBox.of_shape((1, 1, 1)))
    core.find_tiles(query)

    def read(box: BoundingBox) -> Voxels:
        return core.find_tiles(query_of(str(path), box))

    yield Reader(read, lambda: forget_tiles(core, query))
    core._workers.close()
    core._files.close()


@contextlib.contextmanager
def _h5py(path: Path, name: str) -> Iterator[Reader]:
    # HDF5 refuses to open a file twice in a process unless both mean to lock it or not.
    with h5py.File(path, locking=False) as file:
        dataset = file[name]
        yield Reader(lambda box: dataset[box.slices])


@contextlib.contextmanager
def _tifffile(path: Path) -> Iterator[Reader]:
    with tifffile.imread(path, aszarr=True) as store:
        array = zarr.open_array(store, mode="r")
        yield Reader(lambda box: np.asarray(array[box.slices]))


@contextlib.contextmanager
def _tensorstore(driver: str, path: Path) -> Iterator[Reader]:
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{path}/"}}
    context = ts.Context({"cache_pool": {"total_bytes_limit": POOL}})
    array = ts.open(spec, read=True, recheck_cached_data="open", context=context).result()
    if driver == "neuroglancer_precomputed":
        array = array[..., 0]
    if driver in ("neuroglancer_precomputed", "n5"):
        array = array.T
    yield Reader(lambda box: array[box.slices].read().result())


@contextlib.contextmanager
def _cloudvolume(path: Path) -> Iterator[Reader]:
    array = CloudVolume(f"file://{path}", mip=0, progress=False, lru_bytes=POOL)
    yield Reader(lambda box: np.asarray(array[box.slices[::-1]])[..., 0].T)


@contextlib.contextmanager
def _wkw(path: Path) -> Iterator[Reader]:
    with wkw.Dataset.open(str(path)) as dataset:
        yield Reader(lambda box: dataset.read(box.start[::-1], box.shape[::-1])[0].T)


def _knossos(path: Path, box: BoundingBox) -> Voxels:
    """Read each cube with numpy or Pillow, and copy from it, as scripts of laboratories do."""
    voxels = np.zeros(box.shape, np.uint8)
    (ending,) = {each.suffix for each in path.glob("mag1/x0000/y0000/z0000/*")}
    for index in indexes(box.in_tiles((128,) * 3)):
        file = path / knossos_cubes.cube_name("cubed", 1, index, ending)
        flat = np.fromfile(file, np.uint8) if ending == ".raw" else np.asarray(Image.open(file))
        place = BoundingBox.of_shape((1, 1, 1), index).refined((128,) * 3)
        part = place & box
        cube = flat.reshape(128, 128, 128)[part.relative_to(place.start).slices]
        voxels[part.relative_to(box.start).slices] = cube
    return voxels


def _sampling(
    who: str, reader: Reader, shape: tuple[int, int, int], truth: Voxels
) -> Callable[[], float]:
    """Give what times the next of some random boxes, the same ones for all readers."""
    random = np.random.default_rng(0)
    room = [n - s + 1 for n, s in zip(truth.shape, shape, strict=True)]

    def sample() -> float:
        z, y, x = map(int, random.integers(0, room))
        box = BoundingBox.of_shape(shape, (z, y, x))
        reader.forget()
        start = time.perf_counter()
        voxels = reader.read(box)
        seconds = time.perf_counter() - start
        if not np.array_equal(voxels, truth[box.slices]):
            raise WrongAnswer(f"{who}: the cutout {box} is not as written")
        return seconds

    return sample
