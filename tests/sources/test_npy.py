import numpy as np
import pytest

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.npy import Npy
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume


class TestNpy(SourceSuite):
    source = Npy
    dtypes = (
        "uint8",
        "uint16",
        "uint64",
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "float32",
        "float64",
    )

    def write(self, folder, volume):
        path = folder / "volume.npy"
        np.save(path, volume)
        return path


class TestBigEndianInFortranOrder(SourceSuite):
    source = Npy
    dtypes = ("uint8", "uint64", "int16", "int32", "float16", "float32", "float64")

    def write(self, folder, volume):
        path = folder / "volume.npy"
        np.save(path, np.asfortranarray(volume.astype(volume.dtype.newbyteorder(">"))))
        return path


def whole(source):
    return source.read(0, source.scales[0].box)


def test_booleans_are_served_as_bytes(tmp_path):
    volume = np.random.default_rng(0).integers(0, 2, (3, 4, 5)).astype(bool)
    np.save(tmp_path / "v.npy", volume)
    source = Npy.open(str(tmp_path / "v.npy"))
    assert source.dtype == np.uint8
    np.testing.assert_array_equal(whole(source), volume)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_versions(tmp_path, version):
    volume = random_volume((2, 3, 4), "uint16")
    with open(tmp_path / "v.npy", "wb") as file:
        np.lib.format.write_array(file, volume, version)
    np.testing.assert_array_equal(whole(Npy.open(str(tmp_path / "v.npy"))), volume)


def test_wide_sections_are_read_row_by_row(tmp_path):
    volume = random_volume((2, 70, 5000), "uint8")
    np.save(tmp_path / "v.npy", volume)
    source = Npy.open(str(tmp_path / "v.npy"))
    for box in (
        BoundingBox((0, 3, 4990), (2, 69, 5000)),
        BoundingBox((1, 0, 100), (2, 70, 110)),
        BoundingBox((0, 10, 0), (1, 12, 4000)),
    ):
        np.testing.assert_array_equal(source.read(0, box), volume[box.slices])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (3, 4, 5, 1), (3, 1, 4, 1, 5), (1, 1, 4, 5)])
def test_axes_of_one_voxel_are_dropped(tmp_path, shape, order):
    volume = random_volume((3 if 3 in shape else 1, 4, 5), "uint16")
    np.save(tmp_path / "v.npy", np.array(volume.reshape(shape), order=order))
    np.testing.assert_array_equal(whole(Npy.open(str(tmp_path / "v.npy"))), volume)


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        (np.zeros((4, 4), "u1"), r"shape \(4, 4\); allowed are three axes"),
        (np.zeros((5, 2, 3, 4), "u1"), r"5 x 2 x 3 x 4 voxels; allowed are three.*npy#c=0 is one"),
        (np.zeros((2, 0, 3), "u1"), r"none empty"),
        (np.zeros((1, 2, 3), "c8"), r"holds complex64 voxels; allowed are integers"),
        (np.zeros((1, 2, 3), "U4"), r"holds <U4 voxels"),
        (np.zeros((1, 2, 3), object), r"holds object voxels"),
    ],
)
def test_what_is_no_volume(tmp_path, volume, reason):
    np.save(tmp_path / "v.npy", volume, allow_pickle=True)
    assert Npy.guess_can_open(str(tmp_path / "v.npy"))
    with pytest.raises(SourceError, match=reason):
        Npy.open(str(tmp_path / "v.npy"))


@pytest.mark.parametrize("shape", [(1, 2, 3, 4), (2, 3, 4, 1), (1, 1, 2, 3, 4), (1, 2, 3, 4, 1)])
@pytest.mark.parametrize("order", "CF")
def test_further_axes_of_one_voxel_are_left_out(tmp_path, shape, order):
    volume = random_volume((2, 3, 4), "uint16")
    np.save(tmp_path / "v.npy", volume.reshape(shape).copy(order))
    np.testing.assert_array_equal(whole(Npy.open(str(tmp_path / "v.npy"))), volume)
