"""What the protocols tell of segments and synapses after a paint, and after it is taken back."""

from __future__ import annotations

import csv
import json
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.config.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

AT = {"experiment": "e", "sample": "s", "dataset": "d", "channel": "seg"}

OFFSET = np.array([3, 2, 50])

SHAPE = (8, 30, 40)

CUBE = (slice(2, 6), slice(5, 15), slice(8, 20))


@pytest.fixture
def voxels() -> np.ndarray:
    labels = np.repeat(np.arange(1, 4, dtype="u4"), 10)[:, None] + np.zeros(40, "u4")
    return np.broadcast_to(labels, SHAPE).copy()


@pytest.fixture
def places() -> np.ndarray:
    """The voxels before and after each synapse, of shape (2, n, 3)."""
    return np.random.default_rng(3).integers(0, SHAPE, (2, 300, 3))


@pytest.fixture
def client(
    tmp_path: Path, voxels: np.ndarray, places: np.ndarray, serve: Callable[..., Any]
) -> Iterator[httpx.Client]:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = voxels
    names = [f"{side}_{axis}" for side in ("pre", "post") for axis in "zyx"]
    with open(tmp_path / "synapses.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "pre", "post", "z", "y", "x", *names])
        for number, ends in enumerate(places.transpose(1, 0, 2)):
            ids = [voxels[tuple(end)] for end in ends]
            rows.writerow([number + 1, *ids, *(ends.sum(0) // 2), *(ends + OFFSET).ravel()])
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5"), "kind": "segmentation"}
    channel["voxel_offset"] = OFFSET.tolist()
    synapses = {"path": str(tmp_path / "synapses.csv"), "units": "voxel"}
    dataset = {"name": "d", "path": str(tmp_path), "channels": [channel], "synapses": synapses}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    settings = {"experiments": tree, "pyramid": {"folder": str(tmp_path / "kept")}}
    settings["db-path"] = str(tmp_path / "bfly.db")
    with serve(Config.parse({"bfly": settings}, "test.yaml")) as client:
        yield client


def rows(client: httpx.Client, what: str, **words: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/api/{what}", params={**AT, **words})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def related(client: httpx.Client, side: str, segment: int) -> list[int]:
    data = client.get(f"/pre/e/s/d/seg/synapses/{side}/{segment}").content
    (count,) = struct.unpack("<Q", data[:8])
    return sorted(struct.unpack(f"<{count}Q", data[len(data) - 8 * count :]))


def check(client: httpx.Client, shown: np.ndarray, places: np.ndarray) -> None:
    ids, counts = np.unique(shown[shown > 0], return_counts=True)
    listed = rows(client, "segments")
    assert {row["id"]: row["voxels"] for row in listed} == dict(
        zip(ids.tolist(), counts.tolist(), strict=True)
    )
    pre, post = (shown[tuple(ends.T)] for ends in places)
    ends = zip(OFFSET[::-1].tolist(), (OFFSET + SHAPE)[::-1].tolist(), strict=True)
    box = "0/" + "".join(f"{low}:{high}/" for low, high in ends)
    found = client.get(f"/v1/ids/e/s::d/seg/{box}").json()["ids"]
    assert sorted(map(int, found)) == ids.tolist()
    inline = client.get("/pre/e/s/d/seg/segment_properties/info").json()["inline"]
    facts = {one["id"]: one["values"] for one in inline["properties"]}
    known = list(map(int, inline["ids"]))
    assert set(ids.tolist()) <= set(known)
    for segment, count in zip(ids.tolist(), counts.tolist(), strict=True):
        corners = np.argwhere(shown == segment) + OFFSET
        bounds = client.get(f"/v1/boundingbox/e/s::d/seg/0/{segment}/?type=tight").json()
        for axis, along in zip("zyx", corners.T, strict=True):
            assert bounds[f"{axis}_range"] == [along.min(), along.max() + 1]
        row = next(row for row in listed if row["id"] == segment)
        out, into = np.flatnonzero(pre == segment), np.flatnonzero(post == segment)
        assert (row["synapses_out"], row["synapses_in"]) == (len(out), len(into))
        at = known.index(segment)
        assert facts["voxels"][at] == count
        assert (facts["degree_out"][at], facts["degree_in"][at]) == (len(out), len(into))
        assert related(client, "pre", segment) == (out + 1).tolist()
        assert related(client, "post", segment) == (into + 1).tolist()
        partners = rows(client, "partners", id=segment)
        after = {one["partner"]: one["synapses"] for one in partners if one["side"] == "out"}
        assert after == Counter(post[out].tolist())
        found = rows(client, "synapses", neuron=segment)
        assert sorted(one["__id"] for one in found) == (np.union1d(out, into) + 1).tolist()
        # A dataset is asked without its channel, too.
        whole = {name: AT[name] for name in ("experiment", "sample", "dataset")}
        answer = client.get("/api/synapses", params={**whole, "neuron": segment})
        assert len(answer.text.splitlines()) == len(found)
    matrix = rows(client, "connectivity", ids=",".join(map(str, ids.tolist())))
    for row in matrix:
        own = post[pre == row["pre"]]
        assert all(row[str(one)] == np.count_nonzero(own == one) for one in ids.tolist())
    neurons = client.get("/browse/e/s/d").json()["neurons"]
    assert neurons == len(np.union1d(pre, post))


def test_facts_follow_a_paint_and_its_undo(
    client: httpx.Client, voxels: np.ndarray, places: np.ndarray
) -> None:
    check(client, voxels, places)
    ends = [[along.start for along in CUBE], [along.stop for along in CUBE]]
    corners = (np.array(ends) + OFFSET)[:, ::-1].tolist()
    address = "/api/edits/e/s/d/seg"
    answer = client.post(f"{address}/paint", json={"box": corners, "id": "new"})
    assert answer.status_code == 200, answer.text
    new = int(answer.json()["patch"][0]["new"])
    painted = voxels.copy()
    painted[CUBE] = new
    check(client, painted, places)
    answer = client.post(f"{address}/undo", json={"operations": [1]})
    assert answer.status_code == 200, answer.text
    check(client, voxels, places)
    assert client.get("/api/segments", params={**AT, "ids": new}).status_code == 404
