"""navis reads skeletons that are computed: precomputed ones, and SWC."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases.nodb import Nodb
from tests.fixtures.environments import python_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAVIS = """
import json, sys
import navis

url, swc = json.load(sys.stdin)
read = navis.read_precomputed(f"{url}/skeletons/5", datatype="skeleton")
text = navis.read_swc(swc)
json.dump({
    "vertices": read.nodes[["x", "y", "z"]].values.tolist(),
    "radii": read.nodes["radius"].tolist(),
    "edges": read.edges.tolist(),
    "nodes": text.nodes[["node_id", "parent_id"]].values.tolist(),
    "places": text.nodes[["x", "y", "z"]].values.tolist(),
    "units": str(text.units),
    "length": float(text.cable_length),
    "branches": int(text.n_branches),
    "ends": int(text.n_leafs),
    "trees": int(text.n_trees),
}, sys.stdout)
"""


@pytest.mark.reads("navis", "precomputed computed")
def test_navis_reads_computed_skeletons(
    tmp_path: Path, serve: Callable[..., Any], pytestconfig: pytest.Config
) -> None:
    """navis is GPL-3, so it has an environment of its own."""
    python = python_with(pytestconfig, "navis==1.12.0", alone=True)
    z, y, x = np.indices((60, 200, 300))
    voxels = (((z - 30) ** 2 * 6 + (y - 100) ** 2 < 12**2) * 5).astype("u8")
    voxels[((z - 30) ** 2 * 6 + (x - 150) ** 2 < 10**2) & (y > 100)] = 5
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = voxels
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5"), "kind": "segmentation"}
    place = {"voxel_size": (40, 16, 16), "voxel_offset": (1, 2, 3)}
    dataset = {"name": "d", "path": str(tmp_path), "channels": [{**channel, **place}]}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    config = Config.parse({"bfly": {"experiments": tree, "pyramid": pyramid}}, "test.yaml")
    at = {"experiment": "e", "sample": "s", "dataset": "d", "channel": "seg", "id": 5}
    with serve(config, Nodb("", runtime_of(config))) as client:
        about = client.get("/api/skeleton", params={**at, "format": "json"}).json()
        (tmp_path / "5.swc").write_bytes(client.get("/api/skeleton", params=at).content)
        done = subprocess.run(
            [python, "-W", "ignore", "-c", NAVIS],
            input=json.dumps(
                [f"{str(client.base_url).rstrip('/')}/pre/e/s/d/seg", str(tmp_path / "5.swc")]
            ),
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    places = np.stack([about[axis] for axis in "xyz"], axis=1)
    assert np.allclose(read["vertices"], places, atol=0.1)
    assert np.allclose(read["radii"], about["radius"], atol=0.1)
    pairs = [(node, parent) for node, parent in zip(about["node"], about["parent"], strict=True)]
    # navis counts vertices from 0, and its edges are (child, parent) of a tree of its own.
    undirected = {frozenset((node - 1, parent - 1)) for node, parent in pairs if parent > 0}
    assert {frozenset(edge) for edge in read["edges"]} == undirected
    assert [tuple(pair) for pair in read["nodes"]] == pairs
    assert np.allclose(read["places"], places / 1000, atol=1e-3)
    assert "micrometer" in read["units"]
    assert read["length"] == pytest.approx(about["cable_length_um"], rel=1e-3)
    # The root is an end that navis does not count.
    assert (read["trees"], read["ends"], read["branches"]) == (1, 2, about["branch_points"])
