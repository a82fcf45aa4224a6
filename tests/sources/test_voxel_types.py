"""Floats of 16 and 64 bits in every format are served as float32, and that is said."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import h5py
import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest
import tensorstore as ts
import tifffile
import zarr

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.shared import contiguous
from bfly.sources.tile_source import formats
from bfly.sources.voxel_types import served_dtype

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from bfly.sources.source import Datasource

    Write = Callable[[Path, NDArray[Any]], Path]


def _hdf5(folder: Path, volume: NDArray[Any]) -> Path:
    with h5py.File(folder / "v.h5", "w") as file:
        file.create_dataset("main", data=volume, chunks=(2, 4, 4), compression="gzip", shuffle=True)
    return folder / "v.h5"


def _zarr(folder: Path, volume: NDArray[Any]) -> Path:
    options = {"dtype": volume.dtype, "shape": volume.shape, "chunks": (2, 4, 4)}
    zarr.create_array(folder / "v.zarr", zarr_format=3, **options)[:] = volume
    return folder / "v.zarr"


def _n5(folder: Path, volume: NDArray[Any]) -> Path:
    store = {"driver": "file", "path": f"{folder / 'v.n5'}"}
    metadata = {"blockSize": [4, 4, 2], "compression": {"type": "gzip"}}
    spec = {"driver": "n5", "kvstore": store, "metadata": metadata}
    array = ts.open(spec, create=True, dtype=volume.dtype, shape=volume.shape[::-1]).result()
    array[...].write(volume.T).result()
    return folder / "v.n5"


def _npy(folder: Path, volume: NDArray[Any]) -> Path:
    np.save(folder / "v.npy", volume.astype(volume.dtype.newbyteorder(">")))
    return folder / "v.npy"


def _nifti(folder: Path, volume: NDArray[Any]) -> Path:
    nibabel.save(nibabel.Nifti1Image(volume.T, np.eye(4)), folder / "v.nii.gz")
    return folder / "v.nii.gz"


def _nrrd(folder: Path, volume: NDArray[Any]) -> Path:
    nrrd.write(str(folder / "v.nrrd"), volume.T)
    return folder / "v.nrrd"


def _tiff(folder: Path, volume: NDArray[Any]) -> Path:
    tifffile.imwrite(folder / "v.tif", volume, compression="zlib", photometric="minisblack")
    return folder / "v.tif"


def _stack(folder: Path, volume: NDArray[Any]) -> Path:
    (folder / "v").mkdir()
    for z, section in enumerate(volume):
        tifffile.imwrite(folder / f"v/{z}.tif", section)
    return folder / "v"


def _mrc(folder: Path, volume: NDArray[Any]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mrcfile warns of NaN
        mrcfile.new(folder / "v.mrc", volume).close()
    return folder / "v.mrc"


WRITERS: dict[tuple[str, str], Write] = {
    ("hdf5", "float16"): _hdf5,
    ("hdf5", "float64"): _hdf5,
    ("zarr", "float16"): _zarr,
    ("zarr", "float64"): _zarr,
    ("n5", "float64"): _n5,
    ("npy", "float16"): _npy,
    ("npy", "float64"): _npy,
    ("nifti", "float64"): _nifti,
    ("nrrd", "float64"): _nrrd,
    ("tiff", "float16"): _tiff,
    ("tiff", "float64"): _tiff,
    ("stack", "float64"): _stack,
    ("mrc", "float16"): _mrc,
}


@pytest.mark.parametrize(("name", "dtype"), WRITERS)
def test_floats_are_served_as_float32(
    tmp_path: Path, name: str, dtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    """NaN and infinity stay; what float32 does not hold becomes infinite."""
    largest = {"float16": 65504, "float64": 1e39}[dtype]
    volume = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(dtype)
    volume[0, 0, :5] = np.nan, np.inf, -np.inf, largest, -largest
    path = str(WRITERS[name, dtype](tmp_path, volume))
    with warnings.catch_warnings(), caplog.at_level("INFO", "bfly"):
        warnings.simplefilter("error")
        source = _open(name, path)
        found = source.read(0, source.scales[0].box)
        part = source.read(0, BoundingBox((1, 1, 1), (4, 7, 6)))
    with np.errstate(over="ignore"):
        expected = volume.astype("f4")
    assert (source.dtype, source.stored_dtype.name) == (np.dtype("<f4"), dtype)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(part, expected[1:4, 1:7, 1:6])
    # Once, however often the channel is opened.
    _open(name, path)
    said = f"{path} holds {dtype} voxels; they are served as float32."
    assert caplog.messages.count(said) == 1


def _open(name: str, path: str) -> Datasource:
    return formats()[name].open(path)


def test_unwritten_chunks_have_the_fill_value(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        options = {"shape": (2, 4, 4), "chunks": (1, 4, 4), "fillvalue": 1e300}
        file.create_dataset("main", dtype="f8", **options)[0] = 0.1
    source = _open("hdf5", str(tmp_path / "v.h5"))
    found = source.read(0, source.scales[0].box)
    assert (found[0] == np.float32(0.1)).all()
    assert np.isposinf(found[1]).all()


def test_wide_floats_are_read_in_bounded_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = np.random.default_rng(0).normal(size=(3, 30, 40))
    np.save(tmp_path / "v.npy", volume)
    source = _open("npy", str(tmp_path / "v.npy"))
    sizes = []
    monkeypatch.setattr(contiguous, "SPAN", 1000)
    read_into = contiguous.read_into
    monkeypatch.setattr(
        contiguous,
        "read_into",
        lambda fd, data, *place: (sizes.append(len(data)), read_into(fd, data, *place)),
    )
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), volume.astype("f4"))
    assert max(sizes) <= 1000


def test_integers_are_not_converted(tmp_path: Path) -> None:
    volume = np.full((2, 2, 2), 2**63 + 1, "u8")
    np.save(tmp_path / "v.npy", volume)
    source = _open("npy", str(tmp_path / "v.npy"))
    assert source.dtype == source.stored_dtype == np.dtype("u8")
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), volume)


@pytest.mark.parametrize("dtype", ["c8", "c16", "g", "S4", "V2"])
def test_what_cannot_be_served(dtype: str) -> None:
    with pytest.raises(SourceError, match=r"v holds .* voxels; allowed are integers of 8 to 64"):
        served_dtype(np.dtype(dtype), "v")
