"""Images in a group of OME-Zarr: labels, several pyramids, series of a file, plates."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from ome_zarr.format import FormatV04, FormatV05

from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.doctor.examine import examine
from bfly.errors import NotAllowed, SourceError
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.zarr.source import Zarr
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume
from tests.sources.zarr.ome_groups import VERSIONS, axes, group, image, step

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.sources.source import Datasource

EM = random_volume((8, 32, 48), "uint8")
CELLS = random_volume((8, 32, 48), "uint32")

both = pytest.mark.parametrize("zarr_format", [zarr_format for zarr_format, _ in VERSIONS])


def voxels(source: Datasource, mip: int = 0) -> np.ndarray:
    return source.read(mip, source.scales[mip].box)


def opened(path: Path, part: str) -> Datasource:
    return Volume.open(ChannelSpec(f"{path}#{part}")).source


def with_labels(path: Path, zarr_format: int, names: list[str]) -> Path:
    """Write an image with its labels, which are 2 sections and 10 voxels further on."""
    image(path, [EM, EM[:, ::2, ::2]], zarr_format, words={"omero": {"channels": []}})
    group(path / "labels", zarr_format, {"labels": names})
    for name in names:
        steps = [
            [step("scale", [80, 8 << mip, 8 << mip]), step("translation", [160, 80, 80])]
            for mip in range(2)
        ]
        words = {"image-label": {"source": {"image": "../../"}}}
        levels = [CELLS, CELLS[:, ::2, ::2]]
        image(path / "labels" / name, levels, zarr_format, steps, words)
    return path


@both
def test_labels_inside_an_image_are_channels(tmp_path: Path, zarr_format: int) -> None:
    with_labels(tmp_path / "lab" / "img.zarr", zarr_format, ["cells", "seg/all"])
    found = scan(str(tmp_path / "lab"), Files())
    (dataset,) = found.experiments[0].samples[0].datasets
    path = f"{tmp_path}/lab/img.zarr"
    assert [(channel.name, channel.path) for channel in dataset.channels] == [
        ("img.zarr", path),
        ("img.zarr-labels-cells", f"{path}#labels/cells"),
        ("img.zarr-labels-seg-all", f"{path}#labels/seg/all"),
    ]
    config = Config(experiments=found.experiments)
    em, *labels = (Volume.open(ChannelSpec(channel.path)) for channel in config.channels.values())
    assert (em.kind, em.voxel_size) == ("image", (40, 4, 4))
    np.testing.assert_array_equal(voxels(em.source), EM)
    for each in labels:
        assert (each.kind, each.voxel_size) == ("segmentation", (80, 8, 8))
        assert each.source.kind_source == "file: OME-Zarr image-label"
        assert each.level(0).origin == (2, 10, 10)
        for mip in range(2):
            np.testing.assert_array_equal(
                voxels(each.source, mip), CELLS[:, :: 1 << mip, :: 1 << mip]
            )


class Labels(Zarr):
    """The labels of an image, as the configuration names them."""

    @classmethod
    def open(cls, path: str, **options: Any) -> Labels:
        return super().open(path, part=Part("labels/cells"), **options)


class TestLabelsInside(SourceSuite):
    source = Labels
    dtypes = ("uint32", "uint64")
    given_as = frozenset({StoredAs("blosc", "")})

    def write(self, folder: Path, volume: np.ndarray) -> Path:
        path = image(folder / "a.zarr", [EM])
        group(path / "labels", 2, {"labels": ["cells"]})
        steps = [[{"type": "scale", "scale": [1, 1, 1]}]]
        image(path / "labels" / "cells", [volume], steps=steps, axes=[*"zyx"])
        return path

    def voxel_file(self, path: Path) -> Path:
        return super().voxel_file(path / "labels")


def test_listed_labels_are_labels_whatever_their_name(tmp_path: Path) -> None:
    path = with_labels(tmp_path / "a.zarr", 2, [])
    group(path / "labels", 2, {"labels": ["pred"]})
    image(path / "labels" / "pred", [EM])
    source = Zarr.open(str(path), part=Part("labels/pred"))
    assert (source.kind, source.kind_source) == ("segmentation", "file: OME-Zarr labels")


@pytest.mark.filterwarnings("ignore")  # ome-zarr and dask warn of things of their own
@pytest.mark.parametrize("made_by", [FormatV04(), FormatV05()], ids=["0.4", "0.5"])
def test_labels_that_ome_zarr_writes(tmp_path: Path, made_by: Any) -> None:
    from ome_zarr.writer import write_image, write_labels  # the import warns too

    path = str(tmp_path / "a.zarr")
    made = zarr.open_group(path, mode="w", zarr_format=made_by.zarr_format)
    write_image(EM, made, axes="zyx", fmt=made_by)
    write_labels(CELLS, made, "cells", axes="zyx", fmt=made_by)
    assert list(map(str, Zarr.parts(path, Files()))) == ["", "labels/cells"]
    source = Zarr.open(path, part=Part("labels/cells"))
    assert (source.kind, source.kind_source) == ("segmentation", "file: OME-Zarr image-label")
    np.testing.assert_array_equal(voxels(source), CELLS)


def test_labels_have_their_own_axes(tmp_path: Path) -> None:
    volumes = random_volume((3, 4, 16, 16), "uint16")
    path = with_labels(tmp_path / "a.zarr", 3, [])
    group(path / "labels", 3, {"labels": ["cells"]})
    steps = [[step("scale", [1, 40, 4, 4])]]
    image(path / "labels" / "cells", [volumes], 3, steps, axes=axes("tzyx"))
    parts = Zarr.parts(str(path), Files())
    assert list(map(str, parts)) == ["", "labels/cells", "labels/cells,t=1", "labels/cells,t=2"]
    for part, volume in zip(parts[1:], volumes, strict=True):
        np.testing.assert_array_equal(voxels(Zarr.open(str(path), part=part)), volume)


def test_labels_in_an_archive(tmp_path: Path) -> None:
    folder = with_labels(tmp_path / "img.zarr", 3, ["cells"])
    archive = shutil.make_archive(str(tmp_path / "b.zarr"), "zip", folder)
    assert list(map(str, Zarr.parts(archive, Files()))) == ["", "labels/cells"]
    np.testing.assert_array_equal(voxels(Zarr.open(archive, part=Part("labels/cells"))), CELLS)


def test_labels_that_are_listed_and_not_there_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = with_labels(tmp_path / "a.zarr", 2, ["cells"])
    group(path / "labels", 2, {"labels": ["gone", "../../other", "cells"]})
    with caplog.at_level(logging.WARNING):
        assert list(map(str, Zarr.parts(str(path), Files()))) == ["", "labels/cells"]
    assert "labels/gone is listed, but not there" in caplog.text
    assert "'labels/../../other' is not allowed" in caplog.text


def test_labels_that_are_damaged_hide_no_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = with_labels(tmp_path / "a.zarr", 2, ["bad", "cells"])
    (path / "labels" / "bad" / ".zattrs").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert list(map(str, Zarr.parts(str(path), Files()))) == ["", "labels/cells"]
        assert "labels/bad is listed, but cannot be used" in caplog.text
        (path / "labels" / ".zattrs").write_text("{")
        assert list(map(str, Zarr.parts(str(path), Files()))) == [""]
    assert f"Labels are not listed: {path}: labels/.zattrs is not JSON" in caplog.text


def test_a_part_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    path = with_labels(tmp_path / "a.zarr", 2, ["cells"])
    with pytest.raises(SourceError, match="no part labels/cell; it has labels/cells"):
        opened(path, "labels/cell")
    with pytest.raises(NotAllowed, match=r"'\.\.', without"):
        opened(path, "labels/../../a.zarr")


def test_the_doctor_names_labels_beside_an_image(tmp_path: Path) -> None:
    path = with_labels(tmp_path / "a.zarr", 2, ["cells"])
    found = examine("a", str(path), "", lambda: Volume.open(ChannelSpec(str(path))))
    (finding,) = (finding for finding in found.findings if finding.check == "parts")
    assert "1 other volumes in it: labels/cells" in finding.message


@both
def test_each_of_several_pyramids_is_a_part(tmp_path: Path, zarr_format: int) -> None:
    path = image(tmp_path / "a.zarr", [EM], zarr_format)
    made = zarr.open_group(str(path), mode="a")
    made.create_array("other", data=CELLS)
    held = made.attrs if zarr_format == 2 else made.attrs["ome"]
    second = {"axes": axes(unit="micrometer"), "datasets": [{"path": "other"}]}
    words = {"multiscales": [*held["multiscales"], second]}
    group(path, zarr_format, words)
    assert list(map(str, Zarr.parts(str(path), Files()))) == ["", "multiscales/1"]
    np.testing.assert_array_equal(voxels(opened(path, "multiscales/1")), CELLS)
    with pytest.raises(SourceError, match="no part multiscales/2; it has multiscales/1"):
        opened(path, "multiscales/2")


@both
@pytest.mark.parametrize("series", [None, ["1", "0"]])
def test_series_of_a_converted_file(
    tmp_path: Path, zarr_format: int, series: list[str] | None
) -> None:
    path = group(tmp_path / "lab" / "a.ome.zarr", zarr_format, {"bioformats2raw.layout": 3})
    order = series or ["0", "1"]
    volumes = dict(zip(order, (EM, CELLS), strict=True))
    for name, volume in volumes.items():
        image(path / name, [volume], zarr_format)
    if series:
        group(path / "OME", zarr_format, {"series": series})
    found = scan(str(tmp_path / "lab"), Files())
    (dataset,) = found.experiments[0].samples[0].datasets
    assert [channel.name for channel in dataset.channels] == [
        "a.ome.zarr",
        f"a.ome.zarr-{order[1]}",
    ]
    for channel, volume in zip(dataset.channels, volumes.values(), strict=True):
        np.testing.assert_array_equal(voxels(Volume.open(ChannelSpec(channel.path)).source), volume)


@both
def test_fields_of_a_plate(tmp_path: Path, zarr_format: int) -> None:
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}, {"path": "B/2"}]
    path = group(tmp_path / "a.zarr", zarr_format, {"plate": {"wells": wells}})
    volumes = {}
    for number, well in enumerate(wells):
        fields = [{"path": str(field)} for field in range(2)]
        group(path / well["path"], zarr_format, {"well": {"images": fields}})
        for field in fields:
            volumes[f"{well['path']}/{field['path']}"] = EM + number + int(field["path"])
            image(
                path / well["path"] / field["path"], [EM + number + int(field["path"])], zarr_format
            )
    first, *others = volumes
    assert list(map(str, Zarr.parts(str(path), Files()))) == ["", *others]
    np.testing.assert_array_equal(voxels(Zarr.open(str(path))), volumes[first])
    for name, volume in volumes.items():
        np.testing.assert_array_equal(voxels(opened(path, name)), volume)
    assert list(map(str, Zarr.parts(str(path / "B/2"), Files()))) == ["", "1"]


def test_a_plate_of_many_fields_is_cut_off_and_this_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [str(number) for number in range(101)]
    path = group(tmp_path / "a.zarr", 2, {"bioformats2raw.layout": 3})
    for name in names:
        image(path / name, [EM[:4, :16, :16]])
    with caplog.at_level(logging.WARNING):
        assert len(Zarr.parts(str(path), Files())) == 100
    assert "holds more than the 100 volumes that are listed" in caplog.text
    assert f"path: {path}#100" in caplog.text


def test_a_plate_without_images_is_refused(tmp_path: Path) -> None:
    path = group(tmp_path / "a.zarr", 2, {"plate": {"wells": [{"path": "A/1"}]}})
    with pytest.raises(SourceError, match="of which none is there"):
        Zarr.open(str(path))
