"""Arrays in datasets of webKnossos, which describes their axes beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from bfly.sources.zarr.source import Zarr
from bfly.storage.files import Files
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from pathlib import Path

MAG = {"mag": [2, 2, 1]}


@pytest.mark.parametrize(
    ("axes", "layer"),
    [
        ("cxyz", {"mags": [MAG]}),
        ("cxyz", {"mags": [{**MAG, "path": "./color/2-2-1"}]}),
        ("zyxc", {"mags": [{**MAG, "axisOrder": {"c": 3, "x": 2, "y": 1, "z": 0}}]}),
        (
            "tzyx",
            {
                "mags": [{**MAG, "axisOrder": {"x": 3, "y": 2, "z": 1}}],
                "additionalAxes": [{"name": "t", "index": 0, "bounds": [0, 3]}],
            },
        ),
    ],
)
def test_axes_of_a_dataset(tmp_path: Path, axes: str, layer: dict[str, Any]) -> None:
    volumes = random_volume((3, 4, 5, 6), "uint8")
    letter = next(letter for letter in axes if letter not in "xyz")
    stored = volumes.transpose([f"{letter}zyx".index(axis) for axis in axes])
    path = str(tmp_path / "color" / "2-2-1")
    zarr.create_array(path, data=np.ascontiguousarray(stored), zarr_format=2, order="F")
    layers = [{"name": "other"}, {"name": "color", "dataFormat": "zarr", **layer}]
    document = {"dataLayers": layers, "scale": {"factor": [4, 4, 30], "unit": "nanometer"}}
    (tmp_path / "datasource-properties.json").write_text(json.dumps(document))
    parts = Zarr.parts(path, Files())
    assert [str(part) for part in parts] == ["", f"{letter}=1", f"{letter}=2"]
    for place, part in enumerate(parts):
        source = Zarr.open(path, part=part)
        np.testing.assert_array_equal(source.read(0, source.scales[0].box), volumes[place])


@pytest.mark.parametrize(
    ("scale", "size"),
    [
        ({"factor": [4, 5, 30], "unit": "nanometer"}, (30, 10, 8)),
        ({"factor": [0.004, 0.005, 0.03], "unit": "micrometer"}, (30, 10, 8)),
        ([4, 5, 30], (30, 10, 8)),
        ({"factor": [4, 5, 30], "unit": "parsec"}, None),
        (None, None),
    ],
)
@pytest.mark.parametrize(
    "layer", [{"mags": [MAG]}, {"mags": [{**MAG, "path": "./color/2-2-1"}]}, {}]
)
def test_the_voxel_size_is_that_of_the_mag(
    tmp_path: Path, scale: Any, size: tuple[float, ...] | None, layer: dict[str, Any]
) -> None:
    path = str(tmp_path / "color" / "2-2-1")
    zarr.create_array(path, data=random_volume((4, 5, 6), "uint8"), zarr_format=3)
    layers = [{"name": "color", "category": "segmentation", "dataFormat": "zarr3", **layer}]
    document = {"dataLayers": layers, "scale": scale}
    (tmp_path / "datasource-properties.json").write_text(json.dumps(document))
    source = Zarr.open(path)
    assert source.voxel_size == (size and pytest.approx(size))
    assert source.voxel_size_source == ("file: webKnossos scale" if size else "assumed")
    assert (source.kind, source.kind_source) == ("segmentation", "file: webKnossos category")
