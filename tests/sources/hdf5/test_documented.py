"""The documented helpers of the HDF5 source."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from bfly.sources.hdf5.source import HDF5
from bfly.sources.tile_request import TileRequest


@pytest.fixture
def pointer(tmp_path):
    """Two files of two and three sections, listed in the wrong order."""
    volume = np.arange(5 * 4 * 3, dtype="i2").reshape(5, 4, 3)
    for name, part in (("a.h5", volume[:2]), ("b.h5", volume[2:])):
        with h5py.File(tmp_path / name, "w") as file:
            file["main"] = part
    listed = [
        {"filename": "b.h5", "dataset-path": "main", "z-offset": 2},
        {"filename": "a.h5", "dataset-path": "main"},
    ]
    (tmp_path / "v.json").write_text(json.dumps([listed[1] | {"z-offset": 0}, listed[0]][::-1]))
    return tmp_path


def test_valid_path_gives_the_files_by_z(pointer):
    files = [[f"{pointer}/a.h5", "main", 0], [f"{pointer}/b.h5", "main", 2]]
    assert HDF5.valid_path(TileRequest(f"{pointer}/v.json")) == {"hdf5": files}
    assert HDF5.valid_path(TileRequest(f"{pointer}/a.h5")) == {"hdf5": files[:1]}
    assert HDF5.valid_path(TileRequest(f"{pointer}/missing.h5")) == {}


def test_load_info_gives_what_a_pointer_lists(pointer):
    listed = HDF5.load_info(TileRequest(f"{pointer}/v.json"))
    assert listed == [[f"{pointer}/b.h5", "main", 2], [f"{pointer}/a.h5", "main", 0]]
    for name in ("a.h5", "missing.json"):
        path = f"{pointer}/{name}"
        assert HDF5.load_info(TileRequest(path)) == [[path, "main", 0]]


def test_a_path_may_name_a_dataset(pointer):
    path = f"{pointer}/a.h5"
    with h5py.File(path, "a") as file:
        file["deep/raw"] = np.full((2, 4, 3), 7, "u1")
    request = TileRequest(f"{path}#deep/raw")
    assert HDF5.valid_path(request) == {"hdf5": [[path, "deep/raw", 0]]}
    assert HDF5.load_info(request) == [[path, "deep/raw", 0]]
    assert HDF5.load_file(HDF5.load_info(request)[0]).tolist() == np.full((2, 4, 3), 7).tolist()
    assert HDF5.valid_path(TileRequest(f"{path}#deep/no")) == {}


def test_get_details_gives_values_in_order():
    info = TileRequest("").RUNTIME.IMAGE.SOURCE.HDF5
    details = {"z-offset": 3, "filename": "f", "dataset-path": "d"}
    assert HDF5.get_details(info, details) == ["f", "d", 3]
    assert HDF5.get_details(info, {"filename": "f"}) == ["f", None, 0]


def test_load_file_gives_all_voxels(pointer):
    voxels = HDF5.load_file([f"{pointer}/b.h5", "main", 2])
    assert np.array_equal(voxels, np.arange(24, 60).reshape(3, 4, 3))


@pytest.mark.parametrize(("stored", "served"), [("i8", "u8"), ("i1", "u1"), ("f4", "f4")])
def test_dtype_is_unsigned(stored, served):
    assert HDF5.dtype(np.zeros(1, stored)) == np.dtype(served)


def test_a_channel_has_its_own_dtype(pointer):
    assert HDF5.open(f"{pointer}/a.h5").dtype == np.dtype("<i2")
