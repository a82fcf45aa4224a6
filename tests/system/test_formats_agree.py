"""The same volume in several formats is the same through REST: voxels, metadata, mips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import tensorstore as ts
import zarr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AT = {"experiment": "exp", "sample": "sam", "dataset": "dat"}
NM = (8, 8, 8)


def write_hdf5(path: Path, volume: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        made = file.create_dataset("main", data=volume, chunks=(64, 64, 64), compression="gzip")
        made.attrs["resolution"] = NM


def write_zarr2(path: Path, volume: np.ndarray) -> None:
    made = zarr.create_array(str(path), data=volume, chunks=(64, 64, 64), zarr_format=2)
    made.attrs["resolution"] = NM


def write_sharded(path: Path, volume: np.ndarray) -> None:
    made = zarr.create_array(
        str(path), data=volume, chunks=(32, 32, 32), shards=(128, 128, 128), zarr_format=3
    )
    made.attrs["resolution"] = NM


def write_n5(path: Path, volume: np.ndarray) -> None:
    metadata = {
        **{"dimensions": volume.shape[::-1], "blockSize": [64, 64, 64], "dataType": "uint8"},
        **{"compression": {"type": "gzip"}, "resolution": NM},
    }
    spec = {"driver": "n5", "kvstore": f"file://{path}/", "metadata": metadata}
    ts.open(spec, create=True).result().write(volume.T).result()


def write_precomputed(path: Path, volume: np.ndarray) -> None:
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "multiscale_metadata": {"type": "image", "data_type": "uint8", "num_channels": 1},
        "scale_metadata": {
            **{"size": volume.shape[::-1], "encoding": "raw", "chunk_size": [64, 64, 64]},
            "resolution": NM,
        },
    }
    ts.open(spec, create=True).result()[ts.d["channel"][0]].write(volume.T).result()


def write_tiff(path: Path, volume: np.ndarray) -> None:
    tifffile = pytest.importorskip("tifffile")
    size = {f"PhysicalSize{axis}": 8 for axis in "XYZ"}
    units = {f"PhysicalSize{axis}Unit": "nm" for axis in "XYZ"}
    tifffile.imwrite(path, volume, ome=True, metadata={"axes": "ZYX", **size, **units})


FORMATS: dict[str, tuple[str, Callable[[Path, np.ndarray], None]]] = {
    "hdf5": ("a.h5", write_hdf5),
    "zarr 2": ("b.zarr", write_zarr2),
    "zarr 3, sharded": ("c.zarr", write_sharded),
    "n5": ("d.n5", write_n5),
    "precomputed": ("e", write_precomputed),
    "tiff": ("f.ome.tif", write_tiff),
}


def test_fib25_is_the_same_in_every_format(tmp_path: Path, fib25, serve, make_tree) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    sections = sorted((fib25 / "grayscale").iterdir())
    volume = np.stack([imagecodecs.imread(str(path)) for path in sections])
    channels = []
    for name, (file, write) in FORMATS.items():
        write(tmp_path / file, volume)
        channels.append({"name": name, "path": str(tmp_path / file)})
    random = np.random.default_rng(0)
    with serve(make_tree(*channels)) as client:
        metadata = {}
        for name in FORMATS:
            words = {**AT, "channel": name}
            metadata[name] = client.get("/api/channel_metadata", params=words).json()
            assert metadata[name]["voxel-size-source"].startswith("file: ")
        for key in ("dimensions", "data-type", "voxel-size"):
            assert len({str(found[key]) for found in metadata.values()}) == 1, key
        for mip in (0, 0, 0, 1, 2, 3):
            z, y, x = (int(random.integers(-5, 240 >> by)) for by in (0, mip, mip))
            box = {"z": z, "y": y, "x": x, "depth": 9, "height": 70, "width": 80}
            asked = {**AT, **box, "resolution": mip, "format": "raw"}
            answers = {
                name: client.get("/api/data", params={**asked, "channel": name}) for name in FORMATS
            }
            assert {answer.status_code for answer in answers.values()} == {200}
            assert len({answer.content for answer in answers.values()}) == 1, (mip, box)
            if mip == 0:
                padded = np.pad(volume, 100)[z + 100 :, y + 100 :, x + 100 :][:9, :70, :80]
                assert answers["hdf5"].content == padded.tobytes()
