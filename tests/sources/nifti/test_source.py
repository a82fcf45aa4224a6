import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.errors import NotAllowed, SourceError
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


class TestBzip2(SourceSuite):
    source = Nifti
    dtypes = ("uint8", "float64")

    def write(self, folder, volume):
        return write(folder / "volume.nii.bz2", volume)


class TestPair(SourceSuite):
    source = Nifti
    dtypes = ("uint8", "int16", "float64")

    def write(self, folder, volume):
        write(folder / "volume.img", volume, nibabel.Nifti1Pair)
        return folder / "volume.hdr"

    def voxel_file(self, path):
        return path.with_suffix(".img")


class TestPairOfNifti2InGzip(SourceSuite):
    source = Nifti
    dtypes = ("uint16", "int64")

    def write(self, folder, volume):
        write(folder / "volume.img.gz", volume, nibabel.Nifti2Pair)
        return folder / "volume.hdr.gz"

    def voxel_file(self, path):
        return path.with_name("volume.img.gz")


class TestAnalyze(SourceSuite):
    source = Nifti
    dtypes = ("uint8", "int16", "int32", "float32", "float64")

    def write(self, folder, volume):
        header = nibabel.AnalyzeHeader(endianness=">")
        header.set_data_dtype(volume.dtype)
        nibabel.save(nibabel.AnalyzeImage(volume.T, np.eye(4), header), folder / "volume.img")
        return folder / "volume.hdr"

    def voxel_file(self, path):
        return path.with_suffix(".img")


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair, nibabel.AnalyzeImage])
@pytest.mark.parametrize("names", [("v.hdr", "v.img"), ("V.HDR", "V.IMG"), ("v.hdr", "v.img.gz")])
def test_a_pair_by_either_name(tmp_path, kind, names):
    """A scan lists it once, by its header; the voxels may be compressed alone."""
    volume = random_volume((4, 3, 2), "int16")
    write(tmp_path / "w.img", volume, kind)
    (tmp_path / "w.hdr").rename(tmp_path / names[0])
    voxels = (tmp_path / "w.img").read_bytes()
    (tmp_path / "w.img").unlink()
    (tmp_path / names[1]).write_bytes(gzip.compress(voxels) if names[1][-1] == "z" else voxels)
    config = Config(experiments=scan(str(tmp_path), Files()).experiments)
    assert [name[-1] for name in config.channels] == [names[0]]
    for name in names:
        path = str(tmp_path / name)
        assert Nifti.guess_can_open(path)
        np.testing.assert_array_equal(whole(Nifti.open(path)), volume)


def test_voxels_that_begin_like_gzip(tmp_path):
    volume = random_volume((4, 3, 4), "uint8")
    volume[0, 0, :3] = 0x1F, 0x8B, 8
    write(tmp_path / "v.img", volume, nibabel.Nifti1Pair)
    np.testing.assert_array_equal(whole(Nifti.open(str(tmp_path / "v.hdr"))), volume)


def test_a_pair_without_voxels_is_refused_by_name(tmp_path):
    write(tmp_path / "v.img", random_volume((4, 3, 2), "int16"), nibabel.Nifti1Pair)
    (tmp_path / "v.img").unlink()
    with pytest.raises(SourceError, match=r"v\.hdr: its voxels should be in .*v\.img, which does"):
        Nifti.open(str(tmp_path / "v.hdr"))


def test_voxels_of_a_pair_outside_allowed_paths(tmp_path):
    folder = tmp_path / "allowed"
    folder.mkdir()
    write(folder / "v.img", random_volume((4, 3, 2), "int16"), nibabel.Nifti1Pair)
    (folder / "v.img").rename(tmp_path / "v.img")
    (folder / "v.img").symlink_to(tmp_path / "v.img")
    with pytest.raises(NotAllowed):
        Nifti.open(str(folder / "v.hdr"), files=Files([str(folder)]))


@pytest.mark.parametrize(
    "content", [b"ENVI\nsamples = 5\n", b"#?RADIANCE\n", bytes(348), b"\x5c\1\0\0" + bytes(344)]
)
def test_other_headers_are_passed_over(tmp_path, content):
    (tmp_path / "v.hdr").write_bytes(content)
    (tmp_path / "v.img").write_bytes(bytes(100))
    found = scan(str(tmp_path), Files())
    assert not found.experiments
    assert [reason for _, reason in found.skipped] == ["not a NIfTI file"]


@pytest.mark.parametrize(("unit", "voxel_size"), [(b"mm", (4e7, 5e6, 6e6)), (b"", None)])
def test_voxel_size_of_analyze(tmp_path, unit, voxel_size):
    header = nibabel.AnalyzeHeader()
    header.set_data_dtype("u1")
    affine = np.diag((6, 5, 40, 1))
    image = nibabel.AnalyzeImage(random_volume((2, 3, 4), "uint8").T, affine, header)
    image.header["vox_units"] = unit
    nibabel.save(image, tmp_path / "v.img")
    assert Nifti.open(str(tmp_path / "v.hdr")).voxel_size == voxel_size


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
