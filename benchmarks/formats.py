"""One volume written in every format, for those who read it: `benchmarks.cutouts`.

Chunks are 64³ voxels, shards 256³, tiles of TIFF 128². It is four times as large as the pools of
chunks that some readers have.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import tensorstore as ts
import tifffile

from tests.fixtures import knossos_cubes, wkw_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["DATASETS", "FORMATS", "TENSORS", "volume", "written"]

CHUNK, SHARD = [64] * 3, [256] * 3

ZSTD = {"name": "zstd", "configuration": {"level": 1}}


def volume(path: str) -> Voxels:
    """Give the dataset ``main`` of an HDF5 file of 256 × 512 × 512, mirrored in y and x."""
    with h5py.File(path) as file:
        once: Voxels = file["main"][:]
    return np.pad(once, [(0, 0), *((0, n) for n in once.shape[1:])], mode="symmetric")


def written(place: Path, voxels: Voxels, console: Console) -> dict[str, Path]:
    """Give the path of each format, written once."""
    folder = place / "formats"
    if not folder.is_dir():
        unfinished = folder.with_suffix(".tmp")
        unfinished.mkdir(parents=True, exist_ok=True)
        with console.status("Writing a volume in every format, once"):
            for name, write in FORMATS.items():
                write(unfinished / _file(name), voxels)
        unfinished.rename(folder)
    return {name: folder / _file(name) for name in FORMATS}


def _file(name: str) -> str:
    return name.replace(" ", "-").replace(",", "") + ENDINGS.get(name, "")


def _hdf5(path: Path, voxels: Voxels) -> None:
    with h5py.File(path, "w") as file:
        _packed(file, "hdf5", voxels)


def _imaris(path: Path, voxels: Voxels) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["ImarisDataSet"] = np.frombuffer(b"ImarisDataSet", "S1")
        holder = _packed(file, "imaris", voxels).parent
        for axis, size in zip("ZYX", voxels.shape, strict=True):
            holder.attrs[f"ImageSize{axis}"] = np.frombuffer(str(size).encode(), "S1")


def _bdv(path: Path, voxels: Voxels) -> None:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["s00/resolutions"] = np.ones((1, 3))
        _packed(file, "bdv", voxels)
    path.write_text(
        '<SpimData><SequenceDescription><ImageLoader format="bdv.hdf5"><hdf5 type="relative">'
        f"{path.stem}.h5</hdf5></ImageLoader><ViewSetups><ViewSetup><id>0</id></ViewSetup>"
        "</ViewSetups></SequenceDescription></SpimData>"
    )


def _packed(file: Any, name: str, voxels: Voxels) -> Any:
    return file.create_dataset(DATASETS[name], data=voxels, chunks=tuple(CHUNK), compression="gzip")


def _tiff_tiled(path: Path, voxels: Voxels) -> None:
    tifffile.imwrite(
        path, voxels, photometric="minisblack", tile=(128, 128), compression="zlib", maxworkers=2
    )


def _tiff_plain(path: Path, voxels: Voxels) -> None:
    tifffile.imwrite(path, voxels, photometric="minisblack")


def _zarr2(path: Path, voxels: Voxels) -> None:
    metadata = {"chunks": CHUNK, "compressor": {"id": "zstd", "level": 1}}
    _store({"driver": "zarr", "metadata": metadata}, path, voxels)


def _zarr3(path: Path, voxels: Voxels) -> None:
    inner = {"chunk_shape": CHUNK, "codecs": [{"name": "bytes"}, ZSTD]}
    metadata = {
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": SHARD}},
        "codecs": [{"name": "sharding_indexed", "configuration": inner}],
    }
    _store({"driver": "zarr3", "metadata": metadata}, path, voxels)


def _n5(path: Path, voxels: Voxels) -> None:
    metadata = {"blockSize": CHUNK, "compression": {"type": "gzip"}}
    _store({"driver": "n5", "metadata": metadata}, path, voxels.T)


def _precomputed(path: Path, voxels: Voxels, **more: Any) -> None:
    spec = {
        "driver": "neuroglancer_precomputed",
        "multiscale_metadata": {"type": "image"},
        "scale_metadata": {"chunk_size": CHUNK, "resolution": [8] * 3, "encoding": "raw", **more},
    }
    _store(spec, path, voxels.T[..., np.newaxis])


def _sharded(path: Path, voxels: Voxels) -> None:
    sharding = {
        "@type": "neuroglancer_uint64_sharded_v1",
        "hash": "identity",
        "preshift_bits": 3,
        "minishard_bits": 3,
        "shard_bits": 4,
        "minishard_index_encoding": "gzip",
        "data_encoding": "gzip",
    }
    _precomputed(path, voxels, sharding=sharding)


def _wkw(path: Path, voxels: Voxels, packing: str) -> None:
    # Blocks of 32³ in files of 1024³, as webKnossos writes them, but for the size of files.
    wkw_dataset.write_mag(path, voxels, packing=packing, sides=(32, 8 if packing == "raw" else 16))


def _knossos(path: Path, voxels: Voxels, ending: str) -> None:
    knossos_cubes.write(path, voxels, ending=ending, cube=(128, 128, 128))


def _store(spec: dict[str, Any], path: Path, voxels: Voxels) -> None:
    kvstore = {"driver": "file", "path": f"{path}/"}
    array = ts.open(
        {**spec, "kvstore": kvstore}, create=True, dtype=voxels.dtype, shape=voxels.shape
    )
    # Of a shard that is written in parts the whole is written each time.
    with ts.Transaction() as together:
        array.result().with_transaction(together)[...] = voxels


FORMATS: dict[str, Callable[[Path, Voxels], None]] = {
    "hdf5": _hdf5,
    "imaris": _imaris,
    "bdv": _bdv,
    "zarr 2": _zarr2,
    "zarr 3, sharded": _zarr3,
    "n5": _n5,
    "precomputed": _precomputed,
    "precomputed, sharded": _sharded,
    "wkw, raw": partial(_wkw, packing="raw"),
    "wkw, lz4": partial(_wkw, packing="lz4"),
    "knossos, raw": partial(_knossos, ending=".raw"),
    "knossos, png": partial(_knossos, ending=".png"),
    "tiff, tiled": _tiff_tiled,
    "tiff, plain": _tiff_plain,
}
"""What writes each of them."""

ENDINGS = {"imaris": ".ims", "bdv": ".xml"}
"""Endings of those that are known by them."""

DATASETS = {
    "hdf5": "main",
    "imaris": "DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data",
    "bdv": "t00000/s00/0/cells",
}
"""Dataset with the voxels in those that are HDF5."""

TENSORS = {
    "zarr 2": "zarr",
    "zarr 3, sharded": "zarr3",
    "n5": "n5",
    "precomputed": "neuroglancer_precomputed",
    "precomputed, sharded": "neuroglancer_precomputed",
}
"""TensorStore's driver of those that it reads."""
