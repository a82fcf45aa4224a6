"""CAVEclient and CloudVolume's ``graphene://`` edit a segmentation and read it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.protocols.test_api_splits import LEFT, OFFSET, RIGHT, SIZE, client, tubes

if TYPE_CHECKING:
    import httpx

__all__ = ["client"]

BITS = 40
SUPERVOXEL, ROOT = 1 << BITS, 2 << BITS

CLIENTS = """
import datetime, json, sys
import numpy as np
from caveclient import CAVEclient
from caveclient.chunkedgraph import ChunkedGraphClient
from cloudvolume import CloudVolume

given = json.load(sys.stdin)
server, size = given["server"], given["size"]
places = {int(label): np.array(place) for label, place in given["places"].items()}
start = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
found = {}

def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "to_dict"):
        return plain(value.to_dict("list"))
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    return value.timestamp() if isinstance(value, datetime.datetime) else value

sv = {label: (1 << 40) + label for label in places}
graph = ChunkedGraphClient(server_address=server, table_name="seg")
found["unedited"] = graph.get_roots(list(sv.values()))
for one, other in given["merges"]:
    made = graph.do_merge([sv[one], sv[other]], [places[one], places[other]], size)
found["merged"] = made
root = int(made["new_root_ids"][0])
calls = {
    "root": lambda: graph.get_root_id(sv[1]),
    "past_root": lambda: graph.get_root_id(sv[1], timestamp=start),
    "leaves": lambda: graph.get_leaves(root),
    "some_leaves": lambda: graph.get_leaves(root, bounds=np.array([[0, 9], [0, 9], [0, 9]])),
    "many_leaves": lambda: graph.get_leaves_many([root]),
    "children": lambda: graph.get_children(root),
    "latest": lambda: graph.is_latest_roots([root, 2 * (1 << 40) + 1]),
    "made_at": lambda: graph.get_root_timestamps([root]),
    "valid_until": lambda: graph.get_root_timestamps([root], latest=True),
    "lineage": lambda: graph.get_lineage_graph([root]),
    "latest_roots": lambda: graph.get_latest_roots([2 * (1 << 40) + 1]),
    "original_roots": lambda: graph.get_original_roots([root]),
    "suggested": lambda: graph.suggest_latest_roots(2 * (1 << 40) + 1),
    "changes": lambda: graph.get_change_log(root),
    "table": lambda: graph.get_tabular_change_log([root])[root],
    "merge_log": lambda: graph.get_merge_log(root),
    "details": lambda: graph.get_operation_details([1]),
    "past_ids": lambda: graph.get_past_ids([root], timestamp_past=start),
    "delta": lambda: graph.get_delta_roots(start),
    "oldest": lambda: graph.get_oldest_timestamp(),
    "valid": lambda: graph.is_valid_nodes([root, root + 1000]),
    "covering": lambda: graph.get_minimal_covering_nodes([sv[1]]),
    "contacts": lambda: graph.get_contact_sites(root, np.array(given["bounds"])),
    "subgraph": lambda: graph.get_subgraph(root, np.array(given["bounds"])),
    "level2": lambda: graph.level2_chunk_graph(root),
    "way": lambda: graph.find_path(root, places[1] * size, places[4] * size)[0],
    "preview": lambda: graph.preview_split(
        [places[4] * size], [places[5] * size], root, [sv[4]], [sv[5]]
    ),
    "split": lambda: graph.execute_split(
        [places[4] * size], [places[5] * size], root, [sv[4]], [sv[5]]
    ),
    "after_split": lambda: graph.get_roots(list(sv.values())),
    "undone": lambda: graph.undo_operation(len(given["merges"]) + 1),
    "after_undo": lambda: graph.get_roots(list(sv.values())),
    "remeshed": lambda: graph.remesh_level2_chunks([1]),
    "resolution": lambda: graph.base_resolution,
}
for name, call in calls.items():
    found[name] = plain(call())

root = int(graph.get_root_id(sv[1]))
volume = CloudVolume(f"graphene://{server}/segmentation/table/seg", secrets="ab", progress=False)
found["voxels"] = np.asarray(volume.download(volume.bounds))[..., 0].T
found["agglomerated"] = np.asarray(volume.download(volume.bounds, agglomerate=True))[..., 0].T
found["volume_roots"] = volume.get_roots([sv[1], sv[9]])
found["volume_past"] = volume.get_roots([sv[1]], timestamp=1)
found["volume_leaves"] = volume.get_leaves(root, volume.bounds, 0)
mesh = volume.mesh.get(root)[root]
found["mesh"] = [mesh.vertices.min(axis=0), mesh.vertices.max(axis=0), len(mesh.faces)]
cave = CAVEclient("seg", server_address=server, write_server_cache=False)
found["cave"] = [cave.chunkedgraph.table_name, cave.chunkedgraph.get_root_id(sv[1]), root]
json.dump(plain(found), sys.stdout)
"""


@pytest.mark.reads("CAVEclient", "graphene")
@pytest.mark.reads("CloudVolume graphene://", "graphene")
def test_clients_edit_and_read(client: httpx.Client) -> None:
    voxels = tubes()
    labels = [*LEFT, *RIGHT, 9, 10]
    places = {}
    for label in labels:
        there = np.argwhere(voxels == label)
        places[label] = (there[len(there) // 2] + OFFSET)[::-1].tolist()
    low = np.array(OFFSET)[::-1]
    high = low + voxels.shape[::-1]
    merges = [(1, 2), (2, 3), (3, 4), (5, 6), (6, 7), (7, 8), (2, 6)]
    assert client.get("/api/segments?experiment=e&sample=s&dataset=d&channel=seg").is_success
    given = {
        **{"server": str(client.base_url).rstrip("/"), "size": SIZE[::-1], "places": places},
        **{"merges": merges, "bounds": np.stack([low, high], axis=1).tolist()},
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLIENTS],
        **{"input": json.dumps(given), "text": True},
        **{"capture_output": True, "check": False},
    )
    assert done.returncode == 0, done.stderr
    _check(json.loads(done.stdout), voxels, labels, merges)


def _check(
    found: dict[str, Any], voxels: np.ndarray, labels: list[int], merges: list[tuple[int, int]]
) -> None:
    both = [*LEFT, *RIGHT]
    tagged = [SUPERVOXEL + label for label in both]
    (root,) = found["merged"]["new_root_ids"]
    assert found["unedited"] == [ROOT + label for label in labels]
    assert found["past_root"] == ROOT + 1
    assert found["root"] == found["suggested"] == root
    for name in ("leaves", "some_leaves", "children"):
        assert sorted(found[name]) == tagged, name
    assert sorted(found["many_leaves"][str(root)]) == tagged
    assert found["latest"] == [True, False]
    assert found["made_at"][0] <= found["valid_until"][0]
    assert len(found["lineage"]["links"]) == 2 * len(merges)
    assert found["latest_roots"] == [root]
    assert sorted(found["original_roots"]) == [ROOT + label for label in both]
    assert found["changes"]["n_mergers"] == len(merges)
    assert found["table"]["operation_id"] == list(range(1, len(merges) + 1))
    assert found["merge_log"]["merge_edges"] == [
        [[SUPERVOXEL + one, SUPERVOXEL + other]] for one, other in merges
    ]
    assert found["details"]["1"]["added_edges"] == [[SUPERVOXEL + 1, SUPERVOXEL + 2]]
    assert sorted(found["past_ids"]["past_id_map"][str(root)]) == [ROOT + each for each in both]
    assert found["delta"] == [[ROOT + label for label in both], [root]]
    assert found["oldest"] <= found["made_at"][0]
    assert found["valid"] == [True, False]
    assert found["covering"] == [SUPERVOXEL + 1]
    assert found["contacts"] == {}
    assert len(found["subgraph"][0]) == len(merges)
    assert found["level2"] == []
    assert len(found["way"]) > 1
    assert sorted(found["preview"][0]) == tagged[:4]
    assert sorted(found["preview"][1]) == tagged[4:]
    assert found["preview"][2] is True
    after = found["after_split"]
    assert set(after[:4]).isdisjoint(after[4:8])
    assert len(set(found["after_undo"][:8])) == 1
    assert found["resolution"] == list(SIZE[::-1])
    seen = np.array(found["voxels"], np.uint64)
    assert np.array_equal(seen & np.uint64(SUPERVOXEL - 1), voxels)
    agglomerated = np.array(found["agglomerated"], np.uint64)
    assert set(agglomerated[np.isin(voxels, both)].tolist()) == {found["after_undo"][0]}
    assert found["volume_roots"] == [found["after_undo"][0], ROOT + 9]
    assert found["volume_past"] == [ROOT + 1]
    assert sorted(found["volume_leaves"]) == tagged
    low, high, triangles = found["mesh"]
    there = np.argwhere(np.isin(voxels, both)) + OFFSET
    assert triangles > 100
    assert np.allclose(low, (there.min(axis=0) * SIZE)[::-1], atol=8)
    assert np.allclose(high, ((there.max(axis=0) + 1) * SIZE)[::-1], atol=8)
    assert found["cave"] == ["seg", found["cave"][2], found["cave"][2]]
