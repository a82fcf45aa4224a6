"""Choosing a segment in Neuroglancer shows its synapses, live from the database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from bfly.config.config import Config
from tests.fixtures.cloudvolume_folder import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page

LEFT, RIGHT, LONELY = 2**53 + 1, 2**64 - 1, 2**63 + 5
OFFSET = (20, 100, 1000)
SHAPE = (16, 128, 128)
SECTION = OFFSET[0] + 8
ROOT = "/pre/exp/sam/dat/seg"


def synapses(lines: bool) -> pa.Table:
    """Return 40 synapses of each of two segments on one section, in two rows of the volume."""
    x = np.tile(np.linspace(1005, 1120, 40).astype(int), 2)
    y = np.repeat([130, 190], 40)
    pre = np.repeat(np.array([LEFT, RIGHT], np.uint64), 40)
    columns: dict[str, Any] = {"id": np.arange(80) + 2**60, "pre": pre, "post": np.zeros(80, int)}
    columns |= {"x": x, "y": y, "z": np.full(80, SECTION), "score": np.linspace(0, 1, 80)}
    if lines:
        for side, step in (("pre", -8), ("post", 8)):
            columns |= {f"{side}_x": x, f"{side}_y": y + step, f"{side}_z": columns["z"]}
    return pa.table(columns)


@pytest.fixture(scope="module", params=["points", "lines"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, serve: Callable
) -> Iterator[httpx.Client]:
    """A left, a right and a middle segment; the middle one has no synapses."""
    folder: Path = tmp_path_factory.mktemp("annotations")
    voxels = np.full(SHAPE, LONELY, np.uint64)
    voxels[:, :, :40], voxels[:, :, 88:] = LEFT, RIGHT
    with h5py.File(folder / "seg.h5", "w") as file:
        file.create_dataset("main", data=voxels, chunks=(16, 64, 64))
    pa.parquet.write_table(synapses(request.param == "lines"), folder / "synapses.parquet")
    place = {"voxel_offset": list(OFFSET), "voxel_size": [40, 8, 8], "kind": "segmentation"}
    channel = {"name": "seg", "path": str(folder / "seg.h5"), **place}
    table = {"path": str(folder / "synapses.parquet")}
    dataset = {"name": "dat", "path": str(folder), "channels": [channel], "synapses": table}
    experiments = [{"name": "exp", "samples": [{"name": "sam", "datasets": [dataset]}]}]
    with serve(Config.parse({"bfly": {"experiments": experiments}}, "page.yaml")) as client:
        yield client


def address(client: httpx.Client, *segments: int, only: bool = True) -> str:
    """Return the address of the state that the documentation shows."""
    base = str(client.base_url).rstrip("/")
    labels = {
        "type": "segmentation",
        "name": "neurons",
        "source": f"precomputed://{base}{ROOT}",
        "selectedAlpha": 0,
        "segments": list(map(str, segments)),
    }
    points = {
        "type": "annotation",
        "name": "synapses",
        "source": f"precomputed://{base}{ROOT}/synapses",
        "annotationColor": "#ffff00",
        "linkedSegmentationLayer": {"pre": "neurons", "post": "neurons"},
        **({"filterBySegmentation": ["pre", "post"]} if only else {}),
    }
    state = {
        "dimensions": {"x": [8e-9, "m"], "y": [8e-9, "m"], "z": [4e-8, "m"]},
        "position": [OFFSET[2] + 64, OFFSET[1] + 64, SECTION + 0.5],
        "crossSectionScale": 0.25,
        "layers": [labels, points],
        "layout": "xy",
        "showAxisLines": False,
        "showDefaultAnnotations": False,
    }
    return f"{base}/ng/#!{quote(json.dumps(state))}"


def rows_with_yellow(pixels: np.ndarray) -> tuple[int, int]:
    """Count yellow pixels above and below the middle of the window, where the two rows are."""
    shown = pixels.astype(int)
    yellow = (shown[..., 0] > 180) & (shown[..., 1] > 180) & (shown[..., 2] < 90)
    middle = len(yellow) // 2
    return int(yellow[100:middle].sum()), int(yellow[middle:].sum())


def test_chosen_segments_show_their_synapses(served, in_neuroglancer, tab: Page) -> None:
    def shown(*segments: int, only: bool = True) -> tuple[bool, bool]:
        # Another state in an open page would take away layers that Neuroglancer still works on.
        tab.goto("about:blank")
        above, below = rows_with_yellow(in_neuroglancer(address(served, *segments, only=only)))
        return above > 100, below > 100

    assert shown(LEFT) == (True, False)
    assert shown(RIGHT) == (False, True)
    assert shown(LONELY) == (False, False)
    assert shown(LEFT, RIGHT) == (True, True)
    assert shown(LONELY, only=False) == (True, True)


def test_a_double_click_on_a_segment_shows_its_synapses(served, in_neuroglancer, tab: Page) -> None:
    before = rows_with_yellow(in_neuroglancer(address(served, LONELY)))
    width, height = tab.viewport_size["width"], tab.viewport_size["height"]
    with tab.expect_response(lambda got: got.url.endswith(f"/synapses/pre/{LEFT}")) as answer:
        tab.mouse.move(width / 2 - 200, height / 2)
        tab.mouse.dblclick(width / 2 - 200, height / 2)
    assert answer.value.status == 200
    after = rows_with_yellow(in_neuroglancer(tab.url))
    assert before == (0, 0)
    assert after[0] > 100 > after[1]


def test_properties_of_segments_are_known(served, in_neuroglancer, tab: Page) -> None:
    """Also those of a segment without synapses, once the label index is there."""
    names = {"experiment": "exp", "sample": "sam", "dataset": "dat", "channel": "seg"}
    assert served.get("/api/segments", params=names).status_code == 200
    in_neuroglancer(address(served, LONELY))
    properties = tab.evaluate(
        """viewer.layerManager.managedLayers[0].layer.displayState.segmentationGroupState.value
        .segmentPropertyMap.value.numericalProperties.map(({id, values}) => [id, [...values]])"""
    )
    degrees = dict(properties)
    assert degrees["degree_out"] == [40, 40, 0]
    assert degrees["soma_z"][:2] == [SECTION, SECTION]


def test_stored_annotations_are_offered(
    tmp_path: Path, serve, make_tree, in_neuroglancer: Callable[..., np.ndarray], tab: Page
) -> None:
    volume = write(tmp_path / "seg")
    with serve(make_tree({"name": "seg", "path": str(volume.path)})) as client:
        in_neuroglancer(f"{str(client.base_url).rstrip('/')}/ng/?dataset=exp::sam::dat")
        layers = tab.evaluate("viewer.state.toJSON().layers")
    found = {
        layer["name"]: (layer.get("visible"), layer.get("linkedSegmentationLayer"))
        for layer in layers
        if layer["type"] == "annotation"
    }
    linked = {"segment": "seg"}
    assert found == {"seg annotations": (False, linked), "seg annotations_sharded": (False, linked)}
