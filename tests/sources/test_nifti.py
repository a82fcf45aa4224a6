from pathlib import Path

import nibabel
import numpy as np
import pytest

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.nifti import Nifti
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume

SAMPLES = Path(nibabel.__file__).parent / "tests" / "data"


def write(path, volume, kind=nibabel.Nifti1Image, unit=None, zooms=None, endian="<"):
    """Write zyx voxels with nibabel."""
    header = kind.header_class(endianness=endian)
    header.set_data_dtype(volume.dtype)
    image = kind(volume.T, np.eye(4), header, dtype=volume.dtype)
    if zooms:
        image.header.set_zooms(zooms)
    if unit:
        image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


def whole(source):
    return source.read(0, source.scales[0].box)


class TestNifti(SourceSuite):
    source = Nifti
    dtypes = ("uint8", "uint16", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")

    def write(self, folder, volume):
        return write(folder / "volume.nii", volume)


class TestBigEndianNifti2(SourceSuite):
    source = Nifti
    dtypes = ("uint8", "int16", "float32", "float64")

    def write(self, folder, volume):
        path = write(folder / "volume.nii", volume, nibabel.Nifti2Image, endian=">")
        assert path.read_bytes().startswith(b"\0\0\2\x1c")
        return path


class TestGzip(SourceSuite):
    source = Nifti
    dtypes = ("uint8", "uint16")

    def write(self, folder, volume):
        return write(folder / "volume.nii.gz", volume)


@pytest.mark.parametrize(
    ("unit", "voxel_size"),
    [("mm", (4e7, 5e6, 6e6)), ("micron", (40000.0, 5000.0, 6000.0)), (None, None)],
)
def test_voxel_size(tmp_path, unit, voxel_size):
    path = write(tmp_path / "v.nii", random_volume((2, 3, 4), "uint8"), unit=unit, zooms=(6, 5, 40))
    assert Nifti.open(str(path)).voxel_size == voxel_size


def test_voxels_are_not_scaled(tmp_path):
    image = nibabel.Nifti1Image(random_volume((2, 3, 4), "uint8").T, np.eye(4))
    image.header.set_slope_inter(2, 10)
    nibabel.save(image, tmp_path / "v.nii")
    stored = np.asarray(nibabel.load(tmp_path / "v.nii").dataobj.get_unscaled()).T
    np.testing.assert_array_equal(whole(Nifti.open(str(tmp_path / "v.nii"))), stored)


@pytest.mark.parametrize(
    ("shape", "served"), [((4, 3, 2, 1), (2, 3, 4)), ((1, 3, 2, 1, 1), (2, 3, 1))]
)
def test_further_axes_of_one_voxel(tmp_path, shape, served):
    voxels = random_volume((4, 3, 2), "uint8").ravel()[: np.prod(shape)].reshape(shape)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "v.nii")
    source = Nifti.open(str(tmp_path / "v.nii"))
    np.testing.assert_array_equal(whole(source), voxels.reshape(served[::-1]).T)


def test_what_is_no_volume(tmp_path):
    voxels = np.zeros((4, 3, 2, 1, 1, 5, 6), "u1")
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(SourceError, match=r"4 x 3 x 2 x 1 x 1 x 5 x 6 voxels; allowed are three"):
        Nifti.open(str(tmp_path / "v.nii"))


def test_time_is_no_z(tmp_path):
    voxels = random_volume((4, 3, 5), "uint8").reshape(4, 3, 1, 5)
    path = str(tmp_path / "v.nii.gz")
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    parts = Nifti.parts(path, Files())
    assert [str(part) for part in parts] == ["", "t=1", "t=2", "t=3", "t=4"]
    for time, part in enumerate(parts):
        section = whole(Nifti.open(path, part=part))
        np.testing.assert_array_equal(section, voxels[..., time].T)


@pytest.mark.parametrize("name", ["anatomical.nii", "standard.nii.gz", "example_nifti2.nii.gz"])
def test_real_samples(name):
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("nibabel came without its samples")
    truth = np.asarray(nibabel.load(path).dataobj.get_unscaled())
    source = Nifti.open(str(path))
    while truth.ndim > 3:  # the first time and component
        truth = truth[..., 0]
    expected = truth.T.astype(source.dtype)
    rng = np.random.default_rng(0)
    for _ in range(20):
        start = rng.integers(0, expected.shape)
        stop = rng.integers(start + 1, np.array(expected.shape) + 1)
        box = BoundingBox(tuple(start.tolist()), tuple(stop.tolist()))
        np.testing.assert_array_equal(source.read(0, box), expected[box.slices])
