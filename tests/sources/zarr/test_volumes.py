"""Volumes of zarr arrays with axes of channels and time: their mips, places and stored chunks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from bfly.discovery.scan import scan
from bfly.errors import SourceError
from bfly.sources.zarr.source import Zarr
from bfly.storage.files import Files
from bfly.storage.part import Part
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from pathlib import Path

AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "c", "type": "channel"},
    *({"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"),
]


def ome(path: Path, levels: list[Any], axes: Any, steps: Any = None, version: str = "0.4") -> str:
    """Write a group of OME-Zarr; `steps` are the scale and translation of each level."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    datasets: list[dict[str, Any]] = []
    for number, level in enumerate(levels):
        chunks = (1,) * (level.ndim - 3) + (2, 16, 16)
        group.create_array(str(number), data=level, chunks=chunks[-level.ndim :])
        datasets.append({"path": str(number)})
        if steps:
            kinds = zip(("scale", "translation"), steps[number], strict=True)
            datasets[-1]["coordinateTransformations"] = [
                {"type": kind, kind: values} for kind, values in kinds
            ]
    multiscale = {"version": version, "datasets": datasets, **({"axes": axes} if axes else {})}
    group.attrs["multiscales"] = [multiscale]
    return str(path)


def test_each_volume_has_its_mips_place_and_voxel_size(tmp_path: Path) -> None:
    volumes = random_volume((2, 3, 4, 32, 48), "uint16")
    halved = volumes[..., ::2, ::2]
    steps = [
        ([7.0, 1, 30, 4, 4], [14.0, 0, 60, 8, 12]),
        ([7.0, 1, 30, 8, 8], [14.0, 0, 60, 8, 12]),
    ]
    path = ome(tmp_path / "a.zarr", [volumes, halved], AXES, steps)
    source = Zarr.open(path, part=Part.parse("c=2,t=1"))
    assert source.voxel_size == (30, 4, 4)
    assert {mip: scale.factor for mip, scale in source.scales.items()} == {
        0: (1, 1, 1),
        1: (1, 2, 2),
    }
    assert source.scales[0].origin == (2, 2, 3)
    for mip, level in enumerate([volumes, halved]):
        got = source.read(mip, source.scales[mip].box)
        np.testing.assert_array_equal(got, level[1, 2])
    ways = list(source.stored_as(0))
    assert ways
    for way in ways:
        other = Zarr.open(path).read_encoded(0, (1, 1, 2), way)
        own = source.read_encoded(0, (1, 1, 2), way)
        assert own is not None
        assert own != other


@pytest.mark.parametrize(("version", "axes"), [("0.1", None), ("0.2", None), ("0.3", "tczyx")])
def test_mips_before_scales_were_stated(tmp_path: Path, version: str, axes: str | None) -> None:
    volume = random_volume((1, 1, 4, 64, 48), "uint8")
    levels = [volume, volume[..., ::2, ::2], volume[..., ::4, ::4]]
    names = list(axes) if axes else None
    source = Zarr.open(ome(tmp_path / "a", levels, names, version=version))
    assert list(source.scales) == [0, 1, 2]
    assert source.voxel_size is None
    for mip, level in enumerate(levels):
        np.testing.assert_array_equal(source.read(mip, source.scales[mip].box), level[0, 0])


def test_the_type_of_an_axis_goes_before_its_name(tmp_path: Path) -> None:
    volumes = random_volume((3, 4, 5), "uint8")
    axes = [
        {"name": "z", "type": "channel"},
        {"name": "row", "type": "space"},
        {"name": "column", "type": "space"},
    ]
    path = ome(tmp_path / "a", [volumes], axes)
    assert len(Zarr.parts(path, Files())) == 3
    source = Zarr.open(path, part=Part.parse("c=1"))
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), volumes[1:2])


def test_an_array_of_a_group_has_the_axes_of_the_group(tmp_path: Path) -> None:
    volumes = random_volume((3, 32, 48), "uint8")
    path = ome(tmp_path / "a", [volumes], [AXES[1], *AXES[-2:]]) + "/0"
    assert len(Zarr.parts(path, Files())) == 3
    source = Zarr.open(path, part=Part.parse("c=2"))
    np.testing.assert_array_equal(source.read(0, source.scales[0].box), volumes[2:])


def test_a_group_that_describes_other_arrays_is_refused(tmp_path: Path) -> None:
    path = ome(tmp_path / "a", [random_volume((3, 4, 5, 6), "uint8")], AXES[-3:])
    with pytest.raises(SourceError, match="array 0 has 4 axes, its group describes 3"):
        Zarr.open(path)


@pytest.mark.parametrize("side", [1, 2])
def test_channels_in_one_shard(tmp_path: Path, side: int) -> None:
    """A damaged header of one channel's chunk is an error there, and no other is affected."""
    volumes = random_volume((2, 4, 32, 32), "uint8")
    path = str(tmp_path / "a")
    options = {"chunks": (1, 4, 16, 16), "shards": (side, 4, 32, 32), "dimension_names": "czyx"}
    blosc = zarr.codecs.BloscCodec(cname="lz4")
    zarr.create_array(path, data=volumes, compressors=blosc, **options)
    sources = [Zarr.open(path, part=part) for part in Zarr.parts(path, Files())]
    for source, volume in zip(sources, volumes, strict=True):
        np.testing.assert_array_equal(source.read(0, source.scales[0].box), volume)
    file = tmp_path / "a" / "c" / str(1 // side) / "0" / "0" / "0"
    data = bytearray(file.read_bytes())
    # The index of a shard is at its end: an offset and a size for each chunk.
    index = np.frombuffer(data[-4 - 16 * 4 * side : -4], "<u8").reshape(-1, 2)
    at = int(index[-4, 0])
    data[at + 4 : at + 8] = (1 << 30).to_bytes(4, "little")
    file.write_bytes(data)
    sources = [Zarr.open(path, part=part) for part in Zarr.parts(path, Files())]
    np.testing.assert_array_equal(sources[0].read(0, sources[0].scales[0].box), volumes[0])
    with pytest.raises(SourceError, match="states 1073741824 unpacked"):
        sources[1].read(0, sources[1].scales[0].box)


def test_a_scan_lists_volumes_and_no_tables(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    steps = [([1.0] * 5, [0.0] * 5)]
    ome(folder / "img.zarr", [random_volume((2, 3, 4, 16, 16), "uint8")], AXES, steps)
    zarr.create_array(str(folder / "points" / "x"), data=np.ones(7, "f4"), zarr_format=2)
    table = zarr.create_array(str(folder / "table" / "X"), data=np.ones((7, 3), "f4"))
    table.attrs["encoding-type"] = "array"
    found = scan(str(folder), Files())
    (dataset,) = found.experiments[0].samples[0].datasets
    assert [(channel.name, channel.path) for channel in dataset.channels] == [
        (f"img.zarr{name}", f"{folder}/img.zarr{part}")
        for name, part in [
            ("", ""),
            ("-c1", "#c=1"),
            ("-c1-t1", "#c=1,t=1"),
            ("-c2", "#c=2"),
            ("-c2-t1", "#c=2,t=1"),
            ("-t1", "#t=1"),
        ]
    ]
    assert json.dumps(found.skipped) == "[]"
