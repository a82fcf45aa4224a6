"""BigDataViewer: setups and times of an XML, with HDF5, N5 and OME-Zarr behind it."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.discovery.scan import scan
from bfly.errors import NotAllowed, SourceError
from bfly.sources.bdv import BigDataViewer
from bfly.sources.encoded_chunks import StoredAs
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.sources import SourceSuite
from tests.fixtures.bdv_pair import BACKENDS, FACTORS, Setup, affine, levels_of, write

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (8, 20, 24)

UM = Setup((1.5, 0.5, 0.25), "um")

RESOLUTION = (40.0, 4.0, 4.0)


class PairSuite(SourceSuite):
    """An XML and the voxels that it names."""

    source = BigDataViewer
    backend = "hdf5"

    def write(self, folder: Path, volume: np.ndarray) -> Path:
        return write(folder, {(0, 0): volume}, backend=self.backend)

    def voxel_file(self, path: Path) -> Path:
        files = (each for each in path.parent.rglob("*") if each.is_file() and each != path)
        return max(sorted(files), key=lambda each: each.stat().st_size)


class TestHdf5(PairSuite):
    """HDF5 in gzip, where uint16 is stored as int16."""

    dtypes = ("uint8", "uint16", "float32")
    given_as = frozenset({StoredAs("raw", "deflate")})


class TestN5(PairSuite):
    """N5 in gzip."""

    dtypes = ("uint8", "uint16", "int16", "float32")
    backend = "n5"
    given_as = frozenset({StoredAs("n5", ""), StoredAs("raw", "gzip")})


class TestOmeZarr(PairSuite):
    """OME-Zarr of five axes, an image for each view."""

    dtypes = ("uint8", "uint16", "float32")
    backend = "zarr"
    given_as = frozenset({StoredAs("blosc", "")})


def views_of(*places: tuple[int, int]) -> dict[tuple[int, int], np.ndarray]:
    """Return voxels for each setup and time."""
    return {
        place: np.random.default_rng(place).integers(0, 60000, SHAPE).astype("u2")
        for place in places
    }


def opened(path: Path, part: str = "", files: Files | None = None) -> BigDataViewer:
    return BigDataViewer.open(str(path), part=Part.parse(part), files=files)


def channels_in(folder: Path) -> dict[str, str]:
    """Return the channels of a scan by name, and their paths below the folder."""
    found = scan(str(folder), Files())
    assert not found.skipped
    return {
        channel.name: channel.path.removeprefix(f"{folder}/")
        for dataset in found.experiments[0].samples[0].datasets
        for channel in dataset.channels
    }


def check(source: BigDataViewer, voxels: np.ndarray) -> None:
    assert source.dtype == np.dtype("<u2")
    for mip, level in enumerate(levels_of(voxels)):
        assert source.scales[mip].factor == FACTORS[mip]
        np.testing.assert_array_equal(source.read(mip, source.scales[mip].box), level)


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_setup_at_each_time_is_a_channel_once(tmp_path: Path, backend: str) -> None:
    views = views_of((0, 0), (1, 0), (0, 2), (1, 2))
    folder = tmp_path / "folder"
    folder.mkdir()
    path = write(folder, views, backend=backend, setups={0: UM, 1: UM})
    assert channels_in(folder) == {
        "dataset.xml": "dataset.xml",
        "dataset.xml-setup1": "dataset.xml#setup1",
        "dataset.xml-t1": "dataset.xml#t=1",
        "dataset.xml-setup1-t1": "dataset.xml#setup1,t=1",
    }
    parts = [str(part) for part in BigDataViewer.parts(str(path), Files())]
    for part, voxels in zip(parts, views.values(), strict=True):
        source = opened(path, part)
        check(source, voxels)
        assert source.voxel_size == (1500, 500, 250)
        assert source.voxel_size_source == "file: voxelSize of its ViewSetup"


def test_a_container_elsewhere_is_no_second_channel(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("a_voxels", "b"):
        (folder / name).mkdir(parents=True)
    path = write(folder / "b", views_of((0, 0)), backend="n5")
    shutil.move(folder / "b" / "dataset.n5", folder / "a_voxels" / "dataset.n5")
    path.write_text(path.read_text().replace(">dataset.n5<", ">../a_voxels/dataset.n5<"))
    assert list(channels_in(folder)) == ["dataset.xml"]


def test_an_xml_that_cannot_be_read_hides_no_voxels(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = write(folder, views_of((0, 0)))
    path.write_text(path.read_text().replace("bdv.hdf5", "bdv.other"))
    assert list(channels_in(folder)) == ["dataset.h5", "dataset.xml"]
    with pytest.raises(SourceError, match=r"dataset\.xml .*'bdv\.other'; allowed are bdv\.hdf5"):
        opened(path)


def test_setups_have_their_names_where_these_are_distinct(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    views = views_of((0, 0), (3, 0))
    path = write(tmp_path, views, setups={0: Setup(name="DAPI"), 3: Setup(name="tile 2")})
    assert [str(part) for part in BigDataViewer.parts(str(path), Files())] == ["", "tile 2"]
    with caplog.at_level(logging.INFO):
        check(opened(path, "tile 2"), views[3, 0])
    assert "setup 3 at time 0 is served, tile 2; its setups are DAPI, tile 2." in caplog.text
    check(opened(path, "setup3"), views[3, 0])
    check(opened(path, "DAPI,t=0"), views[0, 0])


@pytest.mark.parametrize("name", ["same", "0", "a/b", "a#b", "a,t=1", ""])
def test_setups_are_numbered_where_names_do_not_fit(tmp_path: Path, name: str) -> None:
    path = write(
        tmp_path, views_of((0, 0), (3, 0)), setups={0: Setup(name="same"), 3: Setup(name=name)}
    )
    assert [str(part) for part in BigDataViewer.parts(str(path), Files())] == ["", "setup3"]


@pytest.mark.parametrize("part", ["setup7", "t=2", "c=1", "setup1,z=0", "t=x"])
def test_another_part_is_refused(tmp_path: Path, part: str) -> None:
    path = write(tmp_path, views_of((0, 0), (1, 0), (0, 1), (1, 1)))
    with pytest.raises(SourceError, match=r"dataset\.xml"):
        opened(path, part)


def test_a_view_that_was_not_taken_is_left_out(tmp_path: Path) -> None:
    views = views_of((1, 0), (0, 1), (1, 1))
    path = write(tmp_path, views)
    parts = [str(part) for part in BigDataViewer.parts(str(path), Files())]
    assert parts == ["", "t=1", "setup1,t=1"]
    for part, voxels in zip(parts, (views[1, 0], views[0, 1], views[1, 1]), strict=True):
        check(opened(path, part), voxels)
    with pytest.raises(SourceError, match="setup 0 at time 0 is missing"):
        opened(path, "setup0")


@pytest.mark.parametrize(
    ("unit", "factor"), [("nm", 1), ("um", 1e3), ("µm", 1e3), ("micrometer", 1e3), ("mm", 1e6)]
)
def test_the_voxel_size_has_its_unit(tmp_path: Path, unit: str, factor: float) -> None:
    path = write(tmp_path, views_of((0, 0)), setups={0: Setup((3, 2, 1), unit)})
    assert opened(path).voxel_size == pytest.approx((3 * factor, 2 * factor, factor))


@pytest.mark.parametrize("unit", ["pixel", "px", "parsec"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_without_a_length_the_voxel_size_is_unknown(
    tmp_path: Path, unit: str, backend: str
) -> None:
    path = write(tmp_path, views_of((0, 0)), setups={0: Setup((3, 2, 1), unit)}, backend=backend)
    assert opened(path).voxel_size is None


@pytest.mark.parametrize(
    ("transforms", "place"),
    [
        ([], (0, 0, 0)),
        ([affine()], (0, 0, 0)),
        ([affine(RESOLUTION)], (0, 0, 0)),
        ([affine(RESOLUTION, (80, 12, -8))], (2, 3, -2)),
        # Of BigStitcher: a translation in calibrated units, after the calibration.
        ([affine(at=(20, 3, -2)), affine((10, 1, 1))], (2, 3, -2)),
        # The first is applied last: the translation is scaled.
        ([affine((10, 1, 1)), affine(at=(20, 3, -2))], (20, 3, -2)),
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_scales_and_translations_are_the_position(
    tmp_path: Path, transforms: list[Any], place: tuple[int, ...], backend: str
) -> None:
    setup = Setup(RESOLUTION, "nm", transforms=transforms)
    path = write(tmp_path, views_of((0, 0)), setups={0: setup}, backend=backend)
    source = opened(path)
    for mip, factor in enumerate(FACTORS):
        origin = tuple(at // by for at, by in zip(place, factor, strict=True))
        assert source.scales[mip].origin == origin


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        ((0, -1, 0, 5, 1, 0, 0, 5, 0, 0, 1, 5), "turns, shears or mirrors"),
        ((1, 0.01, 0, 5, 0, 1, 0, 5, 0, 0, 1, 5), "turns, shears or mirrors"),
        ((-1, 0, 0, 5, 0, 1, 0, 5, 0, 0, 1, 5), "turns, shears or mirrors"),
        ((float("nan"), *affine()[1:]), "turns, shears or mirrors"),
    ],
)
def test_a_registration_that_is_not_applied_is_said(
    tmp_path: Path, transform: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    views = views_of((0, 0))
    path = write(tmp_path, views, setups={0: Setup(transforms=[transform])})
    source = opened(path)
    check(source, views[0, 0])
    assert source.scales[0].origin == (0, 0, 0)
    assert said in caplog.text


def test_a_transform_of_another_type_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, views_of((0, 0)), setups={0: Setup(transforms=[affine()])})
    path.write_text(path.read_text().replace('type="affine"', 'type="spline"'))
    opened(path)
    assert "is no affine one" in caplog.text


def test_part_of_a_voxel_and_other_proportions_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    setup = Setup((40, 4, 4), "nm", transforms=[affine(at=(0, 2.5, 0))])
    path = write(tmp_path, views_of((0, 0)), setups={0: setup})
    assert opened(path).scales[0].origin == (0, 2, 0)
    assert "its ViewRegistration puts the first voxel at (0, 2.5, 0) voxels" in caplog.text
    assert "scales voxels by (1.0, 1.0, 1.0) (zyx), and their size is (40.0, 4.0, 4.0)" in (
        caplog.text
    )


def test_a_size_that_the_voxels_do_not_have_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    views = views_of((0, 0))
    path = write(tmp_path, views)
    path.write_text(path.read_text().replace("<size>24 20 8<", "<size>24 20 9<"))
    check(opened(path), views[0, 0])
    assert "has (8, 20, 24) voxels (zyx), not (9, 20, 24) as the XML says" in caplog.text


@pytest.mark.parametrize("backend", BACKENDS)
def test_voxels_that_are_gone_are_named(tmp_path: Path, backend: str) -> None:
    path = write(tmp_path, views_of((0, 0)), backend=backend)
    (container,) = (each for each in tmp_path.iterdir() if each != path)
    container.rename(tmp_path / "renamed")
    with pytest.raises(SourceError, match=rf"dataset\.xml: .* needs .*{container.name}"):
        opened(path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_voxels_outside_the_allowed_folders_are_refused(tmp_path: Path, backend: str) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
    path = write(outside, views_of((0, 0)), backend=backend)
    name = next(each.name for each in outside.iterdir() if each != path)
    text = path.read_text()
    for place in (f"../out/{name}", str(outside / name), f"file://{outside}/{name}"):
        (inside / "v.xml").write_text(text.replace(f">{name}<", f">{place}<"))
        with pytest.raises(NotAllowed, match=str(outside)):
            opened(inside / "v.xml", files=Files([str(inside)]))
        check(opened(inside / "v.xml"), views_of((0, 0))[0, 0])


@pytest.mark.parametrize("name", ["../secret", "/etc", "a//b", ""])
def test_images_of_zarr_are_inside_the_container(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, views_of((0, 0)), backend="zarr")
    path.write_text(path.read_text().replace('path="s0-t0.zarr"', f'path="{name}"'))
    with pytest.raises(NotAllowed, match="the name"):
        opened(path)


def test_the_first_version_of_the_loader_of_zarr(tmp_path: Path) -> None:
    views = views_of((0, 0))
    path = write(tmp_path, views, backend="zarr")
    old = '<zgroup setup="0" timepoint="0"><path>s0-t0.zarr</path></zgroup>'
    new = '<zgroup setup="0" tp="0" path="s0-t0.zarr" indicies="0 0"/>'
    text = path.read_text()
    assert new in text
    path.write_text(text.replace(new, old))
    check(opened(path), views[0, 0])
    path.write_text(text.replace(new, ""))
    with pytest.raises(SourceError, match="no zgroup is of setup 0, time 0"):
        opened(path)


def test_one_zarr_for_all_views_has_them_on_its_axes(tmp_path: Path) -> None:
    views = views_of((0, 0))
    path = write(tmp_path, views, backend="zarr")
    loader = '<ImageLoader format="bdv.ome.zarr"><zarr type="relative">dataset.ome.zarr/s0-t0.zarr'
    text = path.read_text()
    start, end = text.index("<ImageLoader"), text.index("</ImageLoader>")
    path.write_text(f"{text[:start]}{loader}</zarr>{text[end:]}")
    check(opened(path), views[0, 0])
    group = text.replace('indicies="0 0"', 'indicies="1 0"')
    path.write_text(group)
    with pytest.raises(SourceError, match="c is 1; allowed are 0 to 0"):
        opened(path)


def test_partitions_of_hdf5_are_no_second_channel(tmp_path: Path) -> None:
    views = views_of((0, 0))
    folder = tmp_path / "folder"
    folder.mkdir()
    path = write(folder, views)
    (folder / "dataset.h5").rename(folder / "dataset-00-00.h5")
    with h5py.File(folder / "dataset-00-00.h5") as part, h5py.File(folder / "dataset.h5", "w") as h:
        part.copy("s00", h)
        h["t00000/s00"] = h5py.ExternalLink("dataset-00-00.h5", "/t00000/s00")
    assert list(channels_in(folder)) == ["dataset-00-00.h5", "dataset.xml"]
    partition = '<partition><path type="relative">dataset-00-00.h5</path></partition></hdf5>'
    hdf5 = '<hdf5 type="relative">dataset.h5</hdf5>'
    assert hdf5 in path.read_text()
    path.write_text(path.read_text().replace(hdf5, hdf5 + partition.removesuffix("</hdf5>")))
    assert list(channels_in(folder)) == ["dataset.xml"]
    check(opened(path), views[0, 0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_change_of_the_xml_or_the_voxels_is_noticed(tmp_path: Path, backend: str) -> None:
    path = write(tmp_path, views_of((0, 0)), backend=backend)
    source = opened(path)
    first = source.state()
    assert first
    assert source.changed() is None
    assert str(path) in source.all_files()
    path.write_text(path.read_text() + "\n")
    assert source.changed() == str(path)
    assert opened(path).state() != first


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</SpimData>", "", "no element found"),
        ('<?xml version="1.0" encoding="UTF-8"?>', "<!DOCTYPE a>", "it has a document type"),
        ("<hdf5 ", "<file ", "mismatched tag"),
        (">dataset.h5<", "><", "no element hdf5 with a path"),
        ("<ViewSetup>", "<View>", "mismatched tag"),
        ("<id>0<", "<id>none<", "invalid literal"),
        ('type="pattern"', 'type="other"', "known are range, list, pattern"),
        (">0</integerpattern>", ">a-b</integerpattern>", "a pattern is 0-8:2,12"),
        (">0</integerpattern>", ">0-999999</integerpattern>", "more than 100000 time points"),
    ],
)
def test_a_damaged_xml_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, views_of((0, 0)))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SourceError, match=rf"dataset\.xml cannot be read .*{message}"):
        opened(path)


def test_two_setups_with_one_id_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, views_of((0, 0), (1, 0)))
    path.write_text(path.read_text().replace("<id>1<", "<id>0<"))
    with pytest.raises(SourceError, match="the same id"):
        opened(path)


@pytest.mark.parametrize(
    ("times", "numbers"),
    [
        ('type="range"><first>2</first><last>4</last>', [2, 3, 4]),
        ('type="list"><Timepoint><id>4</id></Timepoint><Timepoint><id>2</id></Timepoint>', [4, 2]),
        ('type="pattern"><integerpattern>0-6:3, 9</integerpattern>', [0, 3, 6, 9]),
    ],
)
def test_times_are_counted_in_the_order_of_the_xml(
    tmp_path: Path, times: str, numbers: list[int]
) -> None:
    views = views_of(*((0, number) for number in numbers))
    path = write(tmp_path, views)
    text = path.read_text()
    start, end = text.index("<Timepoints"), text.index("</Timepoints>")
    path.write_text(f"{text[:start]}<Timepoints {times}{text[end:]}")
    for index, number in enumerate(numbers):
        check(opened(path, f"t={index}" if index else ""), views[0, number])


def test_the_list_of_views_is_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, views_of(*((setup, 0) for setup in range(20))), factors=[(1, 1, 1)])
    text = path.read_text()
    path.write_text(text.replace(">0</integerpattern>", ">0-99999</integerpattern>"))
    assert len(BigDataViewer.parts(str(path), Files())) == 1000
    assert "has more than 1000 volumes; the first are listed" in caplog.text
    assert opened(path, "setup19").scales[0].shape == SHAPE


def test_without_any_view_nothing_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = write(folder, views_of((0, 0)))
    missing = '<MissingViews><MissingView timepoint="0" setup="0"/>'
    path.write_text(path.read_text().replace("<MissingViews>", missing))
    assert not scan(str(folder), Files()).experiments
    with pytest.raises(SourceError, match="setup 0 at time 0 is missing"):
        opened(path)


def test_another_xml_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.xml").write_text("<OME/>")
    assert not BigDataViewer.guess_can_open(str(folder / "a.xml"))
    path = write(folder, views_of((0, 0)))
    assert list(channels_in(folder)) == ["dataset.xml"]
    assert scan(str(folder), Files()).others == 1
    assert BigDataViewer.guess_can_open(str(path))
    path.write_text(path.read_text(), "utf-16")
    assert BigDataViewer.guess_can_open(str(path))
