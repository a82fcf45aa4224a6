"""Imaris files: channels, times, levels without their padding, units and positions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.discovery.scan import scan
from bfly.errors import NotAllowed, SourceError
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.hdf5 import HDF5
from bfly.sources.imaris import Imaris
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume
from tests.fixtures.imaris_file import PADDING, levels_of, text, write

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (10, 40, 33)

LEVEL = "DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"


class TestGzip(SourceSuite):
    """Gzip, as Imaris compresses, with three levels."""

    source = Imaris
    dtypes = ("uint8", "uint16", "uint32", "float32")
    given_as = frozenset({StoredAs("raw", "deflate")})

    def write(self, folder: Path, volume: np.ndarray) -> Path:
        return write(folder / "v.ims", volume, levels=3)


class TestPlain(SourceSuite):
    """Datasets of one block, not compressed and not padded."""

    source = Imaris

    def write(self, folder: Path, volume: np.ndarray) -> Path:
        return write(folder / "v.ims", volume, levels=1, chunk=volume.shape, options={})


def volumes(times: int, channels: int) -> np.ndarray:
    return np.random.default_rng(5).integers(100, 60000, (times, channels, *SHAPE)).astype("u2")


def opened(path: Path, part: str = "") -> Imaris:
    return Imaris.open(str(path), part=Part.parse(part))


def change(path: Path, name: str, **attributes: Any) -> Path:
    """Set attributes of a group; None deletes them."""
    with h5py.File(path, "a") as file:
        for key, value in attributes.items():
            del file[name].attrs[key]
            if value is not None:
                file[name].attrs[key] = value
    return path


def test_each_channel_at_each_time_is_a_volume_with_its_levels(tmp_path: Path) -> None:
    voxels = volumes(2, 3)
    path = write(tmp_path / "v.ims", voxels, levels=3)
    parts = [str(part) for part in Imaris.parts(str(path), Files())]
    assert parts == ["", "c=1", "c=2", "t=1", "c=1,t=1", "c=2,t=1"]
    for number, part in enumerate(parts):
        source = opened(path, part)
        assert [source.scales[mip].factor for mip in (0, 1, 2)] == [(1, 1, 1), (2, 2, 2), (4, 4, 4)]
        for mip, level in enumerate(levels_of(voxels[number // 3, number % 3], 3)):
            assert source.scales[mip].shape == level.shape
            np.testing.assert_array_equal(source.read(mip, source.scales[mip].box), level)
            assert PADDING not in source.read(mip, source.scales[mip].box)


def test_a_scan_lists_the_channels(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "v.IMS", volumes(1, 2))
    found = scan(str(folder), Files())
    assert not found.skipped
    (dataset,) = found.experiments[0].samples[0].datasets
    assert [channel.name for channel in dataset.channels] == ["v.IMS", "v.IMS-c1"]


@pytest.mark.parametrize("part", ["c=3", "t=1", "z=0", "s=1", "DataSet", "c=x"])
def test_another_part_is_refused(tmp_path: Path, part: str) -> None:
    path = write(tmp_path / "v.ims", volumes(1, 3))
    with pytest.raises(SourceError, match=r"v\.ims"):
        opened(path, part)


@pytest.mark.parametrize(
    ("unit", "factor"), [("um", 1e3), ("nm", 1), ("mm", 1e6), ("µm", 1e3), ("micron", 1e3)]
)
def test_the_corners_state_size_and_position(tmp_path: Path, unit: str, factor: float) -> None:
    size, at = (0.5, 0.25, 0.125), (5, 6, -7)
    corner = [a * b for a, b in zip(size, at, strict=True)]
    path = write(tmp_path / "v.ims", volumes(1, 1), voxel_size=size, corner=corner, unit=unit)
    source = opened(path)
    assert source.voxel_size == pytest.approx([side * factor for side in size])
    assert source.voxel_size_source == "file: ExtMin and ExtMax of its Image"
    assert source.scales[0].origin == at
    assert source.scales[1].origin == (2, 3, -4)


def test_micrometres_in_latin_1(tmp_path: Path) -> None:
    path = write(tmp_path / "v.ims", volumes(1, 1))
    change(path, "DataSetInfo/Image", Unit=np.frombuffer(b"\xb5m", "S1"))
    assert opened(path).voxel_size == (500, 250, 125)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Unit": text("pixel")}, "unit of its lengths is pixel"),
        ({"Unit": None}, "unit of its lengths is None"),
        ({"Unit": text("m")}, "m may be µm"),
        ({"ExtMax0": text("-3")}, "has corners at"),
        ({"ExtMax1": text("nan")}, "has corners at"),
        ({"X": text("40")}, "has corners at"),
        ({"ExtMin2": text("left")}, "are no lengths"),
        ({"ExtMin2": None}, ""),
    ],
)
def test_a_doubtful_size_is_unknown_and_said(
    tmp_path: Path, changes: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = change(write(tmp_path / "v.ims", volumes(1, 1)), "DataSetInfo/Image", **changes)
    assert opened(path).voxel_size is None
    assert said in caplog.text
    assert bool(caplog.messages) == bool(said)


def test_a_size_that_may_be_a_default_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "v.ims", volumes(1, 1), voxel_size=(1, 1, 1))
    assert opened(path).voxel_size == (1000, 1000, 1000)
    assert "1 µm may be a default" in caplog.text


def test_without_groups_of_information_voxels_are_served(tmp_path: Path) -> None:
    voxels = volumes(1, 1)
    path = write(tmp_path / "v.ims", voxels)
    with h5py.File(path, "a") as file:
        del file["DataSetInfo"], file["Thumbnail"]
    source = opened(path)
    assert source.voxel_size is None
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), voxels[0, 0])


def test_directories_may_have_other_names(tmp_path: Path) -> None:
    voxels = volumes(1, 1)
    path = write(tmp_path / "v.ims", voxels)
    names = {"DataSetDirectoryName": text("Set"), "DataSetInfoDirectoryName": text("About")}
    with h5py.File(path, "a") as file:
        file.move("DataSet", "Set")
        file.move("DataSetInfo", "About")
    source = opened(change(path, "/", **names))
    assert source.voxel_size == (500, 250, 125)
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), voxels[0, 0])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"ImageSizeX": text("49")}, r"has \(12, 48, 48\) voxels \(zyx\), and is said to have"),
        ({"ImageSizeX": text("0")}, "allowed are 1 to as many"),
        ({"ImageSizeX": text("many")}, "states.*many.*needed are ImageSizeZ"),
        ({"ImageSizeX": None}, "needed are ImageSizeZ"),
    ],
)
def test_damaged_sizes_are_refused(tmp_path: Path, attributes: Any, message: str) -> None:
    path = change(write(tmp_path / "v.ims", volumes(1, 1)), LEVEL, **attributes)
    with pytest.raises(SourceError, match=message):
        opened(path)


def test_without_sizes_those_of_the_image_count_or_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "v.ims", volumes(1, 1), levels=2)
    none = dict.fromkeys(("ImageSizeX", "ImageSizeY", "ImageSizeZ"))
    change(path, LEVEL, **none)
    change(path, LEVEL.replace("Level 0", "Level 1"), **none)
    source = opened(path)
    assert {mip: scale.shape for mip, scale in source.scales.items()} == {0: SHAPE}
    assert "the level 1 is skipped" in caplog.text
    change(path, "DataSetInfo/Image", X=None, Y=None, Z=None)
    assert opened(path).scales[0].shape == (12, 48, 48)
    assert "may end with padding" in caplog.text


def test_a_channel_that_is_missing_at_a_time_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    voxels = volumes(2, 2)
    path = write(tmp_path / "v.ims", voxels)
    with h5py.File(path, "a") as file:
        del file["DataSet/ResolutionLevel 0/TimePoint 1/Channel 1"]
        del file["DataSet/ResolutionLevel 1/TimePoint 0/Channel 1"]
    with pytest.raises(SourceError, match="TimePoint 1/Channel 1/Data"):
        opened(path, "c=1,t=1")
    assert list(opened(path, "c=1").scales) == [0]
    assert "the level 1 is skipped" in caplog.text


def test_without_a_channel_it_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "v.ims", volumes(1, 1))
    with h5py.File(path, "a") as file:
        del file["DataSet/ResolutionLevel 0/TimePoint 0"]
    with pytest.raises(SourceError, match="no group DataSet/ResolutionLevel 0 with a TimePoint"):
        opened(path)


def test_names_of_channels_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "v.ims", volumes(1, 2), names=("DAPI", "GFP"))
    with caplog.at_level(logging.INFO):
        opened(path, "c=1")
    assert f"{path}: channel 1 is served of 0 DAPI, 1 GFP." in caplog.messages


def test_other_images_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "v.ims", volumes(1, 1))
    opened(change(path, "/", NumberOfDataSets=np.array([2], "u4")))
    assert "holds 2 images; the first is served" in caplog.text


def test_links_are_followed_inside_the_allowed_folders(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    voxels = volumes(1, 2)
    for folder in (inside, outside):
        folder.mkdir()
        write(folder / "real.ims", voxels)
    for number, target in enumerate(("real.ims", str(outside / "real.ims"))):
        with h5py.File(inside / f"{number}.ims", "w") as file:
            file.attrs["ImarisDataSet"] = text("ImarisDataSet")
            file["DataSet"] = h5py.ExternalLink(target, "DataSet")
            file["DataSetInfo"] = h5py.ExternalLink(target, "DataSetInfo")
    files = Files([str(inside)])
    assert Imaris.guess_can_open(str(inside / "0.ims"))
    source = Imaris.open(str(inside / "0.ims"), files=files)
    assert source.voxel_size == (500, 250, 125)
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), voxels[0, 0])
    assert str(inside / "real.ims") in source.all_files()
    with pytest.raises(NotAllowed, match=str(outside)):
        Imaris.open(str(inside / "1.ims"), files=files)


def test_hdf5_leaves_imaris_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "v.ims", volumes(1, 1))
    assert not HDF5.guess_can_open(str(path))
    other = tmp_path / "v.h5"
    path.rename(other)
    assert not Imaris.guess_can_open(str(other))
    with pytest.raises(SourceError, match=r"layout of an Imaris file: its name must end in \.ims"):
        HDF5.open(str(other))
    with h5py.File(tmp_path / "plain.ims", "w") as file:
        file["main"] = random_volume((4, 5, 6), "uint8")
    assert HDF5.guess_can_open(str(tmp_path / "plain.ims"))
    assert not Imaris.guess_can_open(str(tmp_path / "plain.ims"))
