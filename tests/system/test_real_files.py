"""FIB-25 in each format, written by the field's own libraries, through REST.

Voxels are compared with those that came as images and HDF5; coarser mips with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import imagecodecs
import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest
import tensorstore as ts
import tifffile
import zarr

from bfly.butterfly import Butterfly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

AT = {"experiment": "root", "sample": "files", "dataset": "files"}
NANOMETRES = {"z": 10.0, "y": 10.0, "x": 10.0}
SIDES = (10, 10, 10)


def h5(path: Path, voxels: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=voxels, chunks=(64, 64, 64), compression="gzip")


def contiguous_tiff(path: Path, voxels: np.ndarray) -> None:
    metadata = {"axes": "ZYX", "unit": "nm", "spacing": 10.0}
    tifffile.imwrite(path, voxels, imagej=True, resolution=(0.1, 0.1), metadata=metadata)


def tiled_tiff(path: Path, voxels: np.ndarray) -> None:
    sizes = {f"PhysicalSize{axis}": 10 for axis in "XYZ"}
    units = {f"PhysicalSize{axis}Unit": "nm" for axis in "XYZ"}
    how = {"tile": (128, 128), "compression": "zlib", "photometric": "minisblack"}
    tifffile.imwrite(path, voxels, ome=True, metadata={"axes": "ZYX", **sizes, **units}, **how)


def mrc(path: Path, voxels: np.ndarray) -> None:
    with mrcfile.new(path, voxels.astype("u2")) as file:
        file.voxel_size = 100.0


def nii(path: Path, voxels: np.ndarray) -> None:
    image = nibabel.Nifti1Image(voxels.T, np.diag([0.01, 0.01, 0.01, 1]), dtype=voxels.dtype)
    image.header.set_xyzt_units("micron")
    nibabel.save(image, path)


def nrrd_file(path: Path, voxels: np.ndarray) -> None:
    header = {"encoding": "gzip", "space dimension": 3, "space units": ["nm"] * 3}
    header |= {"space directions": np.diag([10.0] * 3)}
    nrrd.write(str(path), voxels.T, header=header, compression_level=1)


def zarr2(path: Path, voxels: np.ndarray) -> None:
    made = zarr.create_array(str(path), data=voxels, chunks=(64, 64, 64), zarr_format=2)
    made.attrs["resolution"] = SIDES


def sharded(path: Path, voxels: np.ndarray) -> None:
    made = zarr.create_array(
        str(path), data=voxels, chunks=(32, 32, 32), shards=(128, 128, 128), zarr_format=3
    )
    made.attrs["resolution"] = SIDES


def n5(path: Path, voxels: np.ndarray) -> None:
    metadata = {
        **{"dimensions": voxels.shape[::-1], "blockSize": [64, 64, 64], "dataType": "uint8"},
        **{"compression": {"type": "gzip"}, "resolution": SIDES},
    }
    spec = {"driver": "n5", "kvstore": f"file://{path}/", "metadata": metadata}
    ts.open(spec, create=True).result().write(voxels.T).result()


def precomputed(path: Path, voxels: np.ndarray) -> None:
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "multiscale_metadata": {"type": "image", "data_type": "uint8", "num_channels": 1},
        "scale_metadata": {
            **{"size": voxels.shape[::-1], "encoding": "raw", "chunk_size": [64, 64, 64]},
            "resolution": SIDES,
        },
    }
    ts.open(spec, create=True).result()[ts.d["channel"][0]].write(voxels.T).result()


WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "em.h5": h5,
    "em.mrc": mrc,
    "em.nii.gz": nii,
    "em.nrrd": nrrd_file,
    "em-contiguous.tif": contiguous_tiff,
    "em-tiled.ome.tif": tiled_tiff,
    "em.npy": np.save,
    "em.zarr": zarr2,
    "em-sharded.zarr": sharded,
    "em.n5": n5,
    "em-precomputed": precomputed,
    "labels.h5": h5,
    "labels.nrrd": nrrd_file,
    "labels-tiled.tif": tiled_tiff,
}
STATED = {name for name in WRITERS if not name.endswith((".h5", ".npy"))}
"""The files that state a voxel size."""


@pytest.fixture(scope="module")
def truth(fib25: Path) -> dict[str, np.ndarray]:
    sections = sorted((fib25 / "grayscale").glob("*.png"))
    with h5py.File(fib25 / "groundtruth.h5") as file:
        labels = file["stack"][:].view("u4")
    em = np.stack([imagecodecs.png_decode(section.read_bytes()) for section in sections])
    return {"em": em, "labels": labels}


def voxels_of(name: str, truth: dict[str, np.ndarray]) -> np.ndarray:
    return truth["labels" if name.startswith("labels") else "em"]


@pytest.fixture(scope="module")
def client(
    truth: dict[str, np.ndarray], serve, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("real") / "files"
    folder.mkdir()
    for name, write in WRITERS.items():
        write(folder / name, voxels_of(name, truth))
    with serve(Butterfly(str(folder)).config) as client:
        yield client


def test_the_scan_finds_every_file(client) -> None:
    assert client.get("/api/channels", params=AT).json() == sorted(WRITERS)


@pytest.mark.parametrize("name", WRITERS)
def test_metadata(client, name: str) -> None:
    got = client.get("/api/channel_metadata", params={**AT, "channel": name}).json()
    assert got["dimensions"] == {"x": 250, "y": 250, "z": 250}
    dtype = "uint16" if name == "em.mrc" else "uint32" if name.startswith("labels") else "uint8"
    assert got["data-type"] == dtype
    if name in STATED:
        assert got["voxel-size"] == pytest.approx(NANOMETRES)
        assert got["voxel-size-source"].startswith("file: ")


def cutout(client: httpx.Client, name: str, mip: int, box: np.ndarray) -> bytes:
    (z, y, x), (depth, height, width) = box[0].tolist(), (box[1] - box[0]).tolist()
    words = {"x": x, "y": y, "z": z, "width": width, "height": height, "depth": depth}
    words |= {**AT, "channel": name, "resolution": mip, "format": "raw"}
    answer = client.get("/api/data", params=words)
    assert answer.status_code == 200, answer.text
    return answer.content


def random_boxes(count: int, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    random = np.random.default_rng(11)
    for _ in range(count):
        start = random.integers(0, shape)
        yield np.stack([start, random.integers(start + 1, np.array(shape) + 1)])


@pytest.mark.parametrize("name", WRITERS)
def test_random_boxes_equal_numpy(client, truth, name: str) -> None:
    voxels = voxels_of(name, truth)
    if name == "em.mrc":
        voxels = voxels.astype("u2")
    for box in random_boxes(20, voxels.shape):
        expected = voxels[tuple(map(slice, *box))]
        assert cutout(client, name, 0, box) == expected.tobytes(), box


@pytest.mark.parametrize("mip", [1, 2, 3])
def test_formats_agree_at_every_mip(client, mip: int) -> None:
    """All that state the voxel size; 16 bits of MRC are labels unless told otherwise."""
    side = -(-250 // (1 << mip))
    for kind in ("em", "labels"):
        names = sorted(n for n in STATED - {"em.mrc"} if n.startswith(kind))
        assert len(names) > 1
        for box in random_boxes(5, (250, side, side)):
            # Some voxels are outside of the volume.
            answers = {cutout(client, name, mip, box - 5) for name in names}
            assert len(answers) == 1, (names, box)
