"""Neuroglancer reads chunks that are sent as stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

CASES = ["zarr2 gzip", "zarr2 zlib", "zarr2 zstd", "zarr2 zstd as zarr", "zarr2 blosc"]
CASES += ["n5 gzip", "n5 zstd, voxels", "jpeg", "png", "compressed_segmentation"]

SCHEMES = {"pre": "precomputed", "zarr": "zarr", "n5": "n5"}

VALUES = """(places) => {
  const {layer} = viewer.layerManager.managedLayers[0];
  const {names} = viewer.coordinateSpace.value;
  const value = (place) => layer.getValueAt(
    Float32Array.from(names, (name) => place["zyx".indexOf(name)] + 0.5),
    {pickedRenderLayer: null});
  return places.map((place) => String(value(place)));
}"""


@pytest.fixture
def may_be_absent() -> tuple[str, ...]:
    """What Neuroglancer looks for to tell an array from a group, and other versions from these."""
    return (".zarray", ".zgroup", ".zattrs", "zarr.json", "attributes.json")


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_neuroglancer_has_the_voxels(
    url: str, case: Any, sent: list[str], tab: Page, in_neuroglancer: Callable[..., np.ndarray]
) -> None:
    origin = url[: url.index("/", len("http://"))]
    scheme = SCHEMES[url[len(origin) + 1 :].partition("/")[0]]
    kind = "image" if case.volume.itemsize == 1 else "segmentation"
    layer = {"name": "v", "type": kind, "source": f"{scheme}://{url}"}
    # The middle of the chunk in `case.file`.
    z, y, x = 32, 32, 96
    state = {
        "layers": [layer],
        "layout": "xy",
        "position": [x, y, z] if scheme != "zarr" else [z, y, x],
        "showAxisLines": False,
    }
    in_neuroglancer(f"{origin}/ng/#!{quote(json.dumps(state))}")
    assert case.coding in sent
    places = [[z, y + dy, x + dx] for dy in (-7, 0, 8) for dx in (-9, 0, 5)]
    found = [int(value) for value in tab.evaluate(VALUES, places)]
    most = 12 if case.name == "jpeg" else 0
    assert np.abs(np.subtract(found, [int(case.volume[tuple(at)]) for at in places])).max() <= most
