"""HDF5 files of BigDataViewer: setups, times, levels, and the XML beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.errors import SourceError
from bfly.sources.hdf5 import HDF5
from bfly.storage.files import Files
from bfly.storage.part import Part

if TYPE_CHECKING:
    from pathlib import Path

XML = """<?xml version="1.0" encoding="UTF-8"?>
<SpimData version="0.2">
  <SequenceDescription>
    <ImageLoader format="bdv.hdf5"><hdf5 type="relative">{file}</hdf5></ImageLoader>
    <ViewSetups>
      <ViewSetup>
        <id>0</id><voxelSize><unit>um</unit><size>0.1 0.2 0.5</size></voxelSize>
      </ViewSetup>
      <ViewSetup>
        <id>1</id><voxelSize><unit>nm</unit><size>4 5 40.0</size></voxelSize>
      </ViewSetup>
      <ViewSetup>
        <id>2</id><voxelSize><unit>pixel</unit><size>1 1 1</size></voxelSize>
      </ViewSetup>
    </ViewSetups>
  </SequenceDescription>
</SpimData>
"""

FACTORS = [[1, 1, 1], [2, 2, 1], [4, 4, 2]]
"""x, y, z, as in the file."""


def levels_of(time: int, setup: int) -> list[np.ndarray]:
    fine = np.random.default_rng([time, setup]).integers(-100, 100, (6, 16, 24)).astype("i2")
    return [fine[::z, ::y, ::x] + n for n, (x, y, z) in enumerate(FACTORS)]


def write(path: Path, times: int = 2, setups: int = 2, xml: str = XML) -> str:
    with h5py.File(path, "w") as file:
        file["__DATA_TYPES__/Enum_Boolean"] = np.dtype("u1")
        for setup in range(setups):
            file[f"s{setup:02}/resolutions"] = np.array(FACTORS, "f8")
            file[f"s{setup:02}/subdivisions"] = np.array([[8, 8, 4]] * 3, "i4")
            for time in range(times):
                for number, voxels in enumerate(levels_of(time, setup)):
                    name = f"t{time:05}/s{setup:02}/{number}/cells"
                    file.create_dataset(name, data=voxels, chunks=(2, 4, 4), compression="gzip")
    if xml:
        path.with_suffix(".xml").write_text(xml.format(file=path.name))
    return str(path)


def check(source: HDF5, levels: list[np.ndarray]) -> None:
    factors = {mip: scale.factor for mip, scale in source.scales.items()}
    assert factors == {0: (1, 1, 1), 1: (1, 2, 2), 2: (2, 4, 4)}
    assert source.dtype == np.dtype("<u2")
    for mip, voxels in enumerate(levels):
        found = source.read(mip, source.scales[mip].box)
        np.testing.assert_array_equal(found, voxels.view("u2"))


def test_each_setup_at_each_time_is_a_volume_with_its_mips(tmp_path: Path) -> None:
    path = write(tmp_path / "v.h5")
    parts = [str(part) for part in HDF5.parts(path, Files())]
    assert parts == ["", "t00000/s01", "t00001/s00", "t00001/s01"]
    check(HDF5.open(path), levels_of(0, 0))
    for text in parts[1:]:
        time, setup = int(text[1:6]), int(text[8:])
        check(HDF5.open(path, part=Part.parse(text)), levels_of(time, setup))
    with pytest.raises(SourceError, match="has no dataset t00000/s07"):
        HDF5.open(path, part=Part.parse("t00000/s07"))


def test_the_xml_states_the_voxel_size(tmp_path: Path) -> None:
    path = write(tmp_path / "v.h5", setups=3)
    for text, size in (("", (500, 200, 100)), ("t00001/s01", (40, 5, 4)), ("t00000/s02", None)):
        source = HDF5.open(path, part=Part.parse(text))
        assert source.voxel_size == (size and pytest.approx(size))
        assert source.voxel_size_source == ("file: voxelSize in v.xml" if size else "assumed")
    source = HDF5.open(path)
    (tmp_path / "v.xml").unlink()
    assert source.changed() == str(tmp_path / "v.xml")
    assert HDF5.open(path).voxel_size is None


@pytest.mark.parametrize("file", ["other.h5", "folder/v.hdf5"])
def test_an_xml_of_another_file_counts_not(tmp_path: Path, file: str) -> None:
    path = write(tmp_path / "v.h5", xml=XML.replace("{file}", file))
    assert HDF5.open(path).voxel_size is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<SpimData>", "no element found"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><SpimData/>", "it has a document type"),
    ],
)
def test_a_damaged_xml_is_said(
    tmp_path: Path, text: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "v.h5", xml=text)
    assert HDF5.open(path).voxel_size is None
    (line,) = caplog.messages
    assert f"{tmp_path}/v.xml is not read for the voxel size: {message}" in line


def test_partitions_are_followed(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.h5", xml="")
    part = tmp_path / "v-00-00.h5"
    with h5py.File(whole) as file, h5py.File(part, "w") as other:
        file.copy("t00000", other)
        with h5py.File(tmp_path / "v.h5", "w") as made:
            file.copy("s00", made)
            file.copy("s01", made)
            made["t00000/s00"] = h5py.ExternalLink(part.name, "/t00000/s00")
            made["t00000/s01"] = h5py.ExternalLink(part.name, "/t00000/s01")
    (tmp_path / "v.xml").write_text(XML.format(file="v.h5"))
    path = str(tmp_path / "v.h5")
    assert [str(part) for part in HDF5.parts(path, Files())] == ["", "t00000/s01"]
    source = HDF5.open(path)
    check(source, levels_of(0, 0))
    assert source.voxel_size == pytest.approx((500, 200, 100))
    assert str(part) in source.all_files()


def test_a_setup_that_was_not_taken_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "v.h5")
    with h5py.File(path, "a") as file:
        del file["t00000/s01"]
    parts = [str(part) for part in HDF5.parts(path, Files())]
    assert parts == ["", "t00001/s00", "t00001/s01"]


@pytest.mark.parametrize("table", [[[1, 1, 0]], [[1, 1]], [1, 1, 1], np.zeros((300, 3)), "x"])
def test_damaged_factors_make_no_setup(tmp_path: Path, table: object) -> None:
    path = write(tmp_path / "v.h5", times=1, setups=1)
    with h5py.File(path, "a") as file:
        del file["s00/resolutions"]
        file["s00/resolutions"] = table
    source = HDF5.open(path)
    assert list(source.scales) == [0]
