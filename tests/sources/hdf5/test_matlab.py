"""Files of MATLAB 7.3: HDF5 behind a user block, with the axes of an array in reverse."""

import h5py
import numpy as np
import pytest
import scipy.io

from bfly.discovery.scan import scan
from bfly.sources.hdf5.source import HDF5
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume


def write(path, **arrays):
    """Write arrays (y, x, z and more) as MATLAB does with ``save -v7.3``."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            array = np.asarray(array)
            made = file.create_dataset(name, data=array.T, chunks=True, compression="gzip")
            kind = {"bool": "logical", "float32": "single"}.get(array.dtype.name, array.dtype.name)
            made.attrs["MATLAB_class"] = np.bytes_(kind)
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\0\2IM"
    with open(path, "r+b") as file:
        file.write(head)
    return str(path)


class TestMatlab(SourceSuite):
    source = HDF5
    dtypes = ("uint8", "uint16", "uint32", "int16", "float32")

    def write(self, folder, volume):
        write(folder / "v.mat", volume=np.moveaxis(volume, 0, 2))
        return folder / "v.mat"


def whole(source):
    return source.read(0, source.scales[0].box)


def test_a_fourth_axis_counts_channels(tmp_path):
    volume = random_volume((6, 5, 4), "uint8")  # y, x, z
    array = np.stack([volume, volume[::-1]], 3)
    path = write(tmp_path / "v.mat", em=array)
    assert [str(part) for part in HDF5.parts(path, Files())] == ["", "c=1"]
    for channel in range(2):
        source = HDF5.open(path, part=Part.parse(f"c={channel}"))
        np.testing.assert_array_equal(whole(source), np.moveaxis(array[..., channel], 2, 0))


def test_a_plain_hdf5_file_of_that_name_keeps_its_axes(tmp_path):
    volume = random_volume((4, 5, 6), "uint8")
    with h5py.File(tmp_path / "v.mat", "w") as file:
        file["em"] = volume
    np.testing.assert_array_equal(whole(HDF5.open(str(tmp_path / "v.mat"))), volume)


def test_a_scan_finds_its_arrays_and_names_older_files(tmp_path):
    volume = random_volume((6, 5, 4), "uint8")
    write(tmp_path / "v.mat", em=volume, seg=volume.astype("u4"), sizes=np.ones((1, 3)))
    with h5py.File(tmp_path / "v.mat", "r+") as file:
        file["#refs#/a"] = np.zeros((3, 4, 5), "u1")
    scipy.io.savemat(tmp_path / "old.mat", {"em": volume})
    found = scan(str(tmp_path), Files())
    ((dataset,),) = [sample.datasets for sample in found.experiments[0].samples]
    assert [channel.name for channel in dataset.channels] == ["v.mat", "v.mat-seg"]
    ((path, reason),) = found.unread
    assert path.endswith("/old.mat")
    assert "-v7.3" in reason


@pytest.mark.parametrize("kind", ["logical", "uint8"])
def test_logical_arrays_are_bytes(tmp_path, kind):
    volume = random_volume((6, 5, 4), "uint8") % 2
    path = write(tmp_path / "v.mat", mask=volume)
    with h5py.File(path, "r+") as file:
        file["mask"].attrs["MATLAB_class"] = np.bytes_(kind)
        file["mask"].attrs["MATLAB_int_decode"] = np.int32(1)
    np.testing.assert_array_equal(whole(HDF5.open(path)), np.moveaxis(volume, 2, 0))
