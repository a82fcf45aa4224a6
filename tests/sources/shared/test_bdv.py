"""BigDataViewer's N5 and HDF5: the unit of its voxel size is in the XML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h5py
import pytest

from bfly.sources.hdf5.source import HDF5
from bfly.sources.n5.source import N5
from bfly.storage.files import Files
from bfly.testing.volumes import random_volume
from tests.sources.n5.test_source import write_n5

if TYPE_CHECKING:
    from pathlib import Path

XML = """<?xml version="1.0" encoding="UTF-8"?>
<SpimData version="0.2">
  <BasePath type="relative">.</BasePath>
  <SequenceDescription>
    <ImageLoader format="bdv.n5" version="1.0"><n5 type="relative">{name}</n5></ImageLoader>
    <ViewSetups>
      <ViewSetup><id>0</id><name>a</name><size>20 18 16</size>
        <voxelSize><unit>nm</unit><size>1 2 3</size></voxelSize></ViewSetup>
      <ViewSetup><id>1</id><name>b</name><size>20 18 16</size>
        <voxelSize><unit>{unit}</unit><size>0.4 0.5 1.5</size></voxelSize></ViewSetup>
    </ViewSetups>
  </SequenceDescription>
</SpimData>
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return the folder of a setup and a time point, as bigdataviewer-core writes them."""
    folder = tmp_path / "dataset.n5" / "setup1" / "timepoint0"
    write_n5(folder / "s0", random_volume((16, 18, 20), "uint16"))
    words = {"multiScale": True, "resolution": [0.4, 0.5, 1.5], "saved_completed": True}
    (folder / "attributes.json").write_text(json.dumps(words))
    return folder


@pytest.mark.parametrize("name", ["dataset.xml", "other.xml"])
def test_the_unit_is_that_of_the_xml(dataset: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "unrelated.xml").write_text(XML.format(name="unrelated.n5", unit="mm"))
    (tmp_path / name).write_text(XML.format(name="dataset.n5", unit="µm"), "utf-8")
    source = N5.open(str(dataset))
    assert source.voxel_size == (1500, 500, 400)
    assert source.voxel_size_source == f"file: voxelSize in {name}"
    (tmp_path / name).write_text(XML.format(name="dataset.n5", unit="nanometer"), "utf-8")
    assert source.changed() == str(tmp_path / name)


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "no XML",
        XML.format(name="dataset.n5", unit="pixel"),
        XML.format(name="other.n5", unit="um"),
        XML.format(name="dataset.n5", unit="um").replace("<id>1<", "<id>7<"),
        f"<!DOCTYPE a>{XML.format(name='dataset.n5', unit='um').partition('?>')[2]}",
    ],
)
def test_without_a_unit_the_size_is_unknown(dataset: Path, tmp_path: Path, xml: str) -> None:
    if xml:
        (tmp_path / "dataset.xml").write_text(xml)
    assert N5.open(str(dataset)).voxel_size is None


def test_an_xml_outside_allowed_paths_is_not_read(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset.xml").write_text(XML.format(name="dataset.n5", unit="um"))
    files = Files([str(tmp_path / "dataset.n5")])
    assert N5.open(str(dataset), files=files).voxel_size is None


@pytest.mark.parametrize("setup", [0, 1])
def test_hdf5_has_the_size_of_its_xml(tmp_path: Path, setup: int) -> None:
    with h5py.File(tmp_path / "dataset.h5", "w") as file:
        file[f"s{setup:02}/resolutions"] = [[1.0, 1.0, 1.0]]
        file[f"t00000/s{setup:02}/0/cells"] = random_volume((4, 5, 6), "uint16")
    assert HDF5.open(str(tmp_path / "dataset.h5")).voxel_size is None
    xml = XML.format(name="dataset.h5", unit="um").replace("n5", "hdf5")
    (tmp_path / "dataset.xml").write_text(xml)
    found = HDF5.open(str(tmp_path / "dataset.h5")).voxel_size
    assert found == [(3, 2, 1), (1500, 500, 400)][setup]
