"""Graphene over HTTP: what Neuroglancer, CloudVolume and CAVEclient ask for."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.protocols.test_api_splits import FAR, LEFT, OFFSET, RIGHT, SIZE, client, tubes

if TYPE_CHECKING:
    import httpx

__all__ = ["client"]

BITS = 40
SUPERVOXEL, ROOT = 1 << BITS, 2 << BITS
CALLS = "/segmentation/api/v1/table/seg"
NOW = {"int64_as_str": 1}


def at(label: int) -> list[float]:
    """Return a point of a supervoxel as clients send it: the id, and x, y, z in nanometres."""
    places = np.argwhere(tubes() == label)
    place = (places[len(places) // 2] + OFFSET) * SIZE
    return [SUPERVOXEL + label, *place[::-1].tolist()]


def get(client: httpx.Client, path: str, **parameters: Any) -> Any:
    answer = client.get(f"{CALLS}/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def post(client: httpx.Client, path: str, body: Any, **parameters: Any) -> Any:
    answer = client.post(f"{CALLS}/{path}", json=body, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def roots(client: httpx.Client, labels: list[int], **parameters: Any) -> list[int]:
    body = (np.array(labels, "<u8") + SUPERVOXEL).tobytes()
    answer = client.post(f"{CALLS}/roots_binary", content=body, params=parameters)
    assert answer.status_code == 200, answer.text
    found: list[int] = np.frombuffer(answer.content, "<u8").tolist()
    return found


def merge(client: httpx.Client, one: int, other: int) -> int:
    made = post(client, "merge", [at(one), at(other)], **NOW)
    (root,) = made["new_root_ids"]
    assert isinstance(root, str)
    return int(root)


def test_the_info_is_what_clients_need(client: httpx.Client) -> None:
    info = client.get("/segmentation/table/seg/info").json()
    assert info["data_type"] == "uint64"
    assert info["graph"]["n_bits_for_layer_id"] == 64 - BITS
    assert info["scales"][0]["voxel_offset"] == list(OFFSET[::-1])
    assert 1 in info["app"]["supported_api_versions"]
    assert info["data_dir"].startswith(str(client.base_url))
    assert client.get(f"{info['data_dir']}/mesh/info").json()["mip"] == 0


def test_an_image_is_no_table(client: httpx.Client) -> None:
    answer = client.get("/segmentation/table/em/info")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert "is an image" in answer.json()["message"]


@pytest.mark.parametrize("name", ["d.seg", "s.d.seg", "e.s.d.seg"])
def test_longer_names_mean_the_table_too(client: httpx.Client, name: str) -> None:
    assert client.get(f"/segmentation/table/{name}/info").status_code == 200


def test_what_is_not_there_is_said_in_json(client: httpx.Client) -> None:
    assert client.get("/api/segments?experiment=e&sample=s&dataset=d&channel=seg").is_success
    for path in ("/segmentation/table/other/info", f"{CALLS}/nothing", f"{CALLS}/node/7777/root"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["message"]


def test_a_merge_and_its_history(client: httpx.Client) -> None:
    assert roots(client, [1, 2, 0]) == [ROOT + 1, ROOT + 2, 0]
    first, second = merge(client, 1, 2), merge(client, 2, 3)
    assert first < second
    assert roots(client, [1, 2, 3]) == [second] * 3
    assert get(client, f"node/{SUPERVOXEL + 1}/root", **NOW) == {"root_id": str(second)}
    assert get(client, f"node/{second}/leaves") == {
        "leaf_ids": [SUPERVOXEL + label for label in (1, 2, 3)]
    }
    # An old root goes on answering: viewers keep it.
    assert get(client, f"node/{first}/leaves")["leaf_ids"] == [SUPERVOXEL + 1, SUPERVOXEL + 2]
    nodes = [ROOT + 1, first, second, ROOT + 5, 17]
    latest = post(client, "is_latest_roots", {"node_ids": nodes})["is_latest"]
    assert latest == [False, False, True, True, False]
    lineage = post(client, "lineage_graph_multiple", {"root_ids": [second]})
    links = {(link["source"], link["target"]) for link in lineage["links"]}
    assert links == {
        (ROOT + 1, first),
        (ROOT + 2, first),
        (first, second),
        (ROOT + 3, second),
    }
    log = get(client, f"root/{second}/change_log")
    assert (log["n_mergers"], log["n_splits"], log["operations_ids"]) == (2, 0, [1, 2])
    assert set(log["past_ids"]) == {ROOT + 1, ROOT + 2, ROOT + 3, first}


def test_a_moment_of_the_past(client: httpx.Client) -> None:
    first = merge(client, 1, 2)
    times = post(client, "root_timestamps", {"node_ids": [first]})["timestamp"]
    merge(client, 2, 3)
    assert roots(client, [1, 3], timestamp=times[0]) == [first, ROOT + 3]
    assert roots(client, [1], timestamp=times[0] - 1) == [ROOT + 1]
    body = {"node_ids": [first]}
    assert post(client, "is_latest_roots", body, timestamp=times[0])["is_latest"] == [True]


def test_a_split_its_preview_and_its_undo(client: httpx.Client) -> None:
    for one, other in [(1, 2), (2, 3), (3, 4), (5, 6), (6, 7), (7, 8), (2, 6)]:
        whole = merge(client, one, other)
    body = {"sources": [at(4)], "sinks": [at(5)]}
    seen = post(client, "graph/split_preview", body, **NOW)
    assert seen["illegal_split"] is False
    parts = [
        sorted(int(each) - SUPERVOXEL for each in part)
        for part in (seen["supervoxel_connected_components"])
    ]
    assert parts == [LEFT, RIGHT]
    assert set(roots(client, [*LEFT, *RIGHT])) == {whole}
    split = post(client, "split", body)
    now = roots(client, [*LEFT, *RIGHT])
    assert now[:4] == [now[0]] * 4
    assert now[4:] == [now[4]] * 4
    assert {now[0], now[4]} == set(split["new_root_ids"])
    undone = post(client, "undo", {"operation_id": split["operation_id"]})
    again = roots(client, [*LEFT, *RIGHT])
    assert set(again) == set(undone["new_root_ids"])
    assert again[0] not in {whole, *now}
    redone = post(client, "undo", {"operation_id": undone["operation_id"]})
    assert set(roots(client, [*LEFT, *RIGHT])) == set(redone["new_root_ids"])


def test_a_split_that_cannot_be_made_says_why(client: httpx.Client) -> None:
    merge(client, 1, 2)
    body = {"sources": [at(1)], "sinks": [at(1)]}
    assert post(client, "graph/split_preview", body)["illegal_split"] is True
    answer = client.post(f"{CALLS}/split", json=body)
    assert answer.status_code == 400
    assert "the same voxel" in answer.json()["message"]


def test_a_point_on_a_mesh_has_the_root(client: httpx.Client) -> None:
    """Also one that is not current any more."""
    old = merge(client, 1, 2)
    merge(client, 2, 3)
    point = at(1)
    point[0] = old
    (root,) = post(client, "merge", [point, at(FAR[0])])["new_root_ids"]
    assert set(roots(client, [1, 2, 3, FAR[0]])) == {root}


def test_a_request_that_comes_again_is_one_operation(client: httpx.Client) -> None:
    """Neuroglancer tries a merge three times, CAVEclient sends again what broke off."""
    body = [at(1), at(2)]
    answers = [post(client, "merge", body) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert get(client, f"root/{answers[0]['new_root_ids'][0]}/change_log")["n_mergers"] == 1


def test_bodies_may_be_compressed(client: httpx.Client) -> None:
    body = (np.array([1, 2], "<u8") + SUPERVOXEL).tobytes()
    coded = {"content-encoding": "gzip"}
    answer = client.post(f"{CALLS}/roots_binary", content=gzip.compress(body), headers=coded)
    assert np.frombuffer(answer.content, "<u8").tolist() == [ROOT + 1, ROOT + 2]
    bomb = gzip.compress(bytes(64 << 20))
    answer = client.post(f"{CALLS}/roots_binary", content=bomb, headers=coded)
    assert answer.status_code == 413
    answer = client.post(f"{CALLS}/roots_binary", content=b"no gzip", headers=coded)
    assert answer.status_code == 400


def test_a_get_may_have_a_body(client: httpx.Client) -> None:
    root = merge(client, 1, 2)
    answer = client.request(
        "GET", f"{CALLS}/tabular_change_log_many", content=json.dumps({"root_ids": [root]})
    )
    table = json.loads(answer.json()[str(root)])
    assert table["is_merge"] == {"0": True}


def test_meshes_keep_what_an_edit_did_not_change(client: httpx.Client) -> None:
    first = merge(client, 1, 2)
    manifest = f"/meshing/api/v1/table/seg/manifest/{first}:0"
    asked = {"verify": 1, "prepend_seg_ids": 1}
    fragments = client.get(manifest, params=asked).json()["fragments"]
    assert fragments
    for fragment in fragments:
        name = fragment.partition(":")[2]
        data = client.get(f"/segmentation/data/seg/mesh/dynamic/{name}")
        assert data.content.startswith(b"DRACO")
    keys = {fragment.partition(":")[0] for fragment in fragments}
    (far,) = post(client, "merge", [at(FAR[0]), at(FAR[1])])["new_root_ids"]
    # The joined segments are in other cells than what was there before.
    after = client.get(f"/meshing/api/v1/table/seg/manifest/{far}:0", params=asked).json()
    assert keys.isdisjoint(fragment.partition(":")[0] for fragment in after["fragments"])
    assert client.get(manifest, params=asked).json()["fragments"] == fragments


def test_pages_of_other_origins_cannot_edit(client: httpx.Client) -> None:
    answer = client.post(
        f"{CALLS}/merge", json=[at(1), at(2)], headers={"origin": "https://example.org"}
    )
    assert answer.status_code == 403
    assert roots(client, [1, 2]) == [ROOT + 1, ROOT + 2]


def test_caveclient_finds_its_way(client: httpx.Client) -> None:
    assert client.get("/segmentation/api/versions").json() == [0, 1]
    about = client.get("/info/api/v2/datastack/full/seg").json()
    assert about["segmentation_source"].endswith("/segmentation/table/seg")
    assert "seg" in client.get("/info/api/v2/datastacks").json()


def test_a_branch_a_snapshot_and_a_past_state_are_tables(client: httpx.Client) -> None:
    first = merge(client, 1, 2)
    edits = "/api/edits/e/s/d/seg"
    assert client.post(f"{edits}/branch", json={"name": "try"}).is_success
    assert client.post(f"{edits}/snapshot", json={"name": "v1"}).is_success
    second = merge(client, 2, 3)
    tables = {"seg.try": first, "seg.v1": first, "d.seg.op1": first, "seg.op0": ROOT + 1}
    for table, root in tables.items():
        path = f"/segmentation/api/v1/table/{table}/node/{SUPERVOXEL + 1}/root"
        assert client.get(path).json() == {"root_id": root}, table
        info = client.get(f"/segmentation/table/{table}/info").json()
        assert info["data_dir"].endswith(f"/segmentation/data/{table}")
    body = [at(2), at(5)]
    made = client.post("/segmentation/api/v1/table/seg.try/merge", json=body).json()
    assert made["new_root_ids"][0] not in (first, second)
    assert roots(client, [2, 5]) == [second, ROOT + 5]
    for frozen in ("seg.v1", "seg.op1"):
        answer = client.post(f"/segmentation/api/v1/table/{frozen}/merge", json=body)
        assert answer.status_code == 409
        assert "never changes" in answer.json()["message"]
    assert client.get("/segmentation/table/seg.none/info").status_code == 404


def test_roots_are_asked_anew_each_time(client: httpx.Client) -> None:
    answer = client.get(f"{CALLS}/node/{SUPERVOXEL + 1}/root")
    assert answer.headers["cache-control"] == "public, no-cache"
