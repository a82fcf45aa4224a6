"""Branches, snapshots, past states, diff and merge over HTTP; each under its own name."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

FIRST, STEP = 1 << 32, 1 << 32


@pytest.fixture
def voxels() -> np.ndarray:
    return np.arange(1, 65, dtype="u4").reshape(4, 4, 4).repeat(4, 0).repeat(4, 1).repeat(4, 2)


@pytest.fixture
def config(tmp_path: Path, voxels: np.ndarray) -> Config:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, array in (("seg", voxels), ("em", voxels.astype("u1")), ("a@b", voxels)):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["main"] = array
    channels = [
        {"name": name, "path": str(folder / f"{name}.h5"), "kind": kind}
        for name, kind in (("seg", "segmentation"), ("em", "image"), ("a@b", "segmentation"))
    ]
    # From 1 to 3, from 2 to 4 and so on.
    places = {axis: [1, 2, 3, 4] for axis in "zyx"}
    synapses = {"neuron_1": [1, 2, 3, 4], "neuron_2": [3, 4, 5, 6], "synapse_center": places}
    (folder / "synapse-connections.json").write_text(json.dumps(synapses))
    dataset = {"name": "d", "path": str(folder), "channels": channels}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    return Config.parse({"bfly": {"experiments": tree, "pyramid": pyramid}}, "test.yaml")


@pytest.fixture
def client(tmp_path: Path, config: Config, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    with serve(config, Sqlite(str(tmp_path / "bfly.db"), runtime_of(config))) as client:
        yield client


def post(client: httpx.Client, action: str, channel: str = "seg", **asked: Any) -> Any:
    answer = client.post(f"/api/edits/e/s/d/{channel}/{action}", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def get(client: httpx.Client, action: str, channel: str = "seg", **asked: Any) -> Any:
    answer = client.get(f"/api/edits/e/s/d/{channel}/{action}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(
    client: httpx.Client, action: str, channel: str = "seg", **asked: Any
) -> tuple[int, str]:
    answer = client.post(f"/api/edits/e/s/d/{channel}/{action}", json=asked)
    return answer.status_code, answer.text


def row(client: httpx.Client, channel: str = "seg", **words: Any) -> list[int]:
    """Return the segments of the supervoxels 1 to 4, as cutouts have them."""
    names = {"experiment": "e", "sample": "s", "dataset": "d", "channel": channel}
    box = {"x": 0, "y": 0, "z": 0, "width": 16, "height": 1, "depth": 1, "format": "npy"}
    answer = client.get("/api/data", params={**names, **box, **words})
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content)).ravel()[::4].tolist()


def test_a_branch_is_edited_apart_from_the_channel(client: httpx.Client) -> None:
    post(client, "merge", ids=[1, 2], user="Ada")
    made = post(client, "branch", name="try", user="Bo")
    assert (made["name"], made["from"], made["at"], made["user"]) == ("try", "main", 1, "Bo")
    merge = post(client, "merge", "seg@try", ids=[2, 3], user="Bo")
    assert (merge["operation"], merge["replaced"]) == (2, [str(FIRST + 1)])
    assert merge["segments"] == [{"id": "2", "root": str(FIRST + STEP + 2)}]
    assert row(client, "seg@try") == [2, 2, 2, 4]
    assert row(client) == row(client, "seg@main") == [1, 1, 3, 4]
    post(client, "merge", ids=[3, 4], user="Ada")
    assert row(client, "seg@try") == [2, 2, 2, 4]
    assert row(client) == [1, 1, 3, 3]
    # An operation from before the branch is taken back on the branch alone.
    post(client, "undo", "seg@try", operations=[1])
    assert row(client, "seg@try") == [1, 2, 2, 4]
    assert row(client) == [1, 1, 3, 3]
    log = get(client, "log", "seg@try")
    assert [each["operation"] for each in log["operations"]] == [3, 2, 1]
    assert [each["user"] for each in log["operations"]] == ["", "Bo", "Ada"]
    listed = get(client, "branches")
    assert listed["main"] == {"name": "main", "last": 2}
    assert [(each["name"], each["at"], each["last"]) for each in listed["branches"]] == [
        ("try", 1, 3)
    ]
    assert get(client, "branches", "seg@try") == listed


def test_roots_of_lines_are_told_apart(client: httpx.Client) -> None:
    post(client, "branch", name="try")
    ours = post(client, "merge", ids=[1, 2])["segments"][0]["root"]
    theirs = post(client, "merge", "seg@try", ids=[1, 3])["segments"][0]["root"]
    assert ours != theirs
    assert get(client, "lineage", "seg@try", root=theirs)["is_latest"]
    answer = client.get(f"/api/edits/seg@try/lineage?root={ours}")
    assert answer.status_code == 404
    assert "may be one of another branch" in answer.text
    roots = get(client, "roots", "seg@try", ids="1,2,3")["roots"]
    assert [each["root"] for each in roots] == [theirs, "2", theirs]


def test_the_parameter_state_is_one_of_the_line(client: httpx.Client) -> None:
    post(client, "branch", name="try")
    post(client, "snapshot", name="v0")
    post(client, "merge", "seg@try", ids=[1, 2])
    post(client, "merge", "seg@try", ids=[3, 4])
    post(client, "merge", ids=[2, 3])
    assert row(client, "seg@try", state=1) == [1, 1, 3, 4]
    assert row(client, "seg@try", state=2) == row(client, "seg@try") == [1, 1, 3, 3]
    assert row(client, state=1) == [1, 2, 2, 4]
    answer = client.get("/pre/seg@v0/0/0-16_0-16_0-16?state=1")
    assert answer.status_code == 400
    assert "This is the snapshot v0: it has no other states" in answer.text


def test_stale_writers_and_repetitions_on_a_branch(client: httpx.Client) -> None:
    post(client, "branch", name="try")
    post(client, "merge", "seg@try", ids=[1, 2], user="Ada")
    again = post(client, "merge", "seg@try", ids=[1, 2], user="Ada")
    assert again["operation"] == 1
    status, text = refused(client, "merge", "seg@try", ids=[2, 3], seen=0)
    assert status == 409
    assert "changed since the operation 0: 1 (merge by Ada" in text
    # The key of a request on a branch is not that of one on the channel.
    assert post(client, "merge", ids=[1, 2], key="k")["operation"] == 1
    assert post(client, "merge", "seg@try", ids=[3, 4], key="k")["operation"] == 2
    assert post(client, "merge", "seg@try", ids=[3, 4], key="k")["operation"] == 2


def test_snapshots_and_past_states_are_served_and_never_change(client: httpx.Client) -> None:
    post(client, "merge", ids=[1, 2])
    made = post(client, "snapshot", name="v1", user="Ada")
    assert (made["at"], made["from"]) == (1, "main")
    post(client, "merge", ids=[3, 4])
    assert post(client, "snapshot", name="v0", at=0)["at"] == 0
    for name, segments in {
        "v1": [1, 1, 3, 4],
        "v0": [1, 2, 3, 4],
        "1": [1, 1, 3, 4],
        "0": [1, 2, 3, 4],
        "2": [1, 1, 3, 3],
        "2020-01-01T12:00": [1, 2, 3, 4],
    }.items():
        assert row(client, f"seg@{name}") == segments
        status, text = refused(client, "merge", f"seg@{name}", ids=[1, 5])
        assert status == 409
        assert "never changes: make a branch from it" in text
    assert [each["name"] for each in get(client, "branches")["snapshots"]] == ["v1", "v0"]
    assert len(get(client, "log", "seg@1")["operations"]) == 1
    assert get(client, "roots", "seg@v1", ids="3,4")["operation"] == 1
    # What is done about it.
    assert post(client, "branch", "seg@v1", name="from-v1")["at"] == 1
    post(client, "merge", "seg@from-v1", ids=[2, 4])
    assert row(client, "seg@from-v1") == [2, 2, 3, 2]
    assert row(client, "seg@from-v1@1") == [1, 1, 3, 4]
    assert row(client, "seg@v1") == [1, 1, 3, 4]


@pytest.mark.parametrize(
    ("action", "channel", "asked", "status", "said"),
    [
        ("merge", "seg@none", {"ids": [1, 2]}, 404, "no branch or snapshot none"),
        ("merge", "seg@none", {"ids": [1, 2]}, 404, "there are try"),
        ("branch", "seg", {}, 400, "The name is not text"),
        ("branch", "seg", {"name": "main"}, 400, "is reserved"),
        ("branch", "seg", {"name": "x", "at": 9}, 400, "operation 9"),
        ("branch", "seg", {"name": "x", "at": "no"}, 400, "behind the @"),
        ("branch", "seg@0", {"name": "x", "at": 0}, 400, "so no at"),
        ("snapshot", "seg", {"name": "try", "at": 0}, 409, "is a branch try already"),
        ("merge-branch", "seg", {}, 400, "The from is not a branch, a snapshot"),
        ("merge-branch", "seg", {"from": "try"}, 400, "Nothing of try is left"),
        ("merge-branch", "seg@0", {"from": "try"}, 409, "never changes"),
        ("merge-branch", "seg", {"from": "try", "choices": [1]}, 400, "choices are not"),
        ("merge-branch", "seg", {"from": "try", "choices": {"1": "mine"}}, 400, "choices are not"),
        ("merge-branch", "seg", {"from": "try", "choices": {"x": "ours"}}, 400, "choices x"),
        ("branch", "em", {"name": "x"}, 400, "only a segmentation has edits"),
    ],
)
def test_what_cannot_be_done_is_said(
    client: httpx.Client, action: str, channel: str, asked: Any, status: int, said: str
) -> None:
    post(client, "branch", name="try")
    assert refused(client, action, channel, **asked)[0] == status
    assert said in refused(client, action, channel, **asked)[1]


def test_a_channel_whose_name_has_an_at_still_works(client: httpx.Client) -> None:
    post(client, "merge", "a@b", ids=[1, 2])
    assert row(client, "a@b") == [1, 1, 3, 4]
    post(client, "branch", "a@b", name="try")
    post(client, "merge", "a@b@try", ids=[2, 3])
    assert row(client, "a@b@try") == [2, 2, 2, 4]
    assert row(client, "a@b@0") == [1, 2, 3, 4]
    assert client.get("/pre/a@b@try/info").json()["scales"]
    assert client.get("/pre/a@b/info").status_code == 200
    assert client.get("/pre/a@c/info").status_code == 404


ADDRESSES = {
    "pre": "/pre/e/s/d/{}/0/0-16_0-16_0-16",
    "pre, short": "/pre/{}/0/0-16_0-16_0-16",
    "pre, former": "/pre/e::s::d/{}/0/0-16_0-16_0-16",
    "tiles": "/tiles/e/s/d/{}/0/0/0/0.png?view=colormap",
    "zarr": "/zarr/e/s/d/{}/0/0/0/0",
    "zarr3": "/zarr3/e/s/d/{}/0/c/0/0/0",
    "n5": "/n5/e/s/d/{}/s0/0/0/0",
    "nd": "/nd/ca/e::s::d/{}/npz/0/0,16/0,16/0,16/",
    "v1": "/v1/cutout/e/s::d/{}/0/0:16/0:16/0:16/",
    "knossos": "/knossos/e/s/d/{0}/mag1/x0000/y0000/z0000/{0}_x0000_y0000_z0000.seg.sz.zip",
    "dvid": "/dvid/api/node/{uuid}/{0}/raw/0_1_2/16_16_16/0_0_0",
    "sparsevol": "/api/sparsevol?experiment=e&sample=s&dataset=d&channel={}&id=1&format=csv",
    "segments": "/api/segments?experiment=e&sample=s&dataset=d&channel={}&count=1",
    "mesh": "/api/mesh?experiment=e&sample=s&dataset=d&channel={}&id=1&format=ply",
    "manifest": "/pre/e/s/d/{}/mesh/1:0",
    "synapses": "/api/synapses?experiment=e&sample=s&dataset=d&channel={}&neuron=1",
    "partners": "/api/partners?experiment=e&sample=s&dataset=d&channel={}&id=1",
    "entity": (
        "/api/entity_feature?experiment=e&sample=s&dataset=d&channel={}"
        "&feature=neuron_children&id=1&x=0&y=0&z=0&width=16&height=16&depth=16"
    ),
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_each_protocol_serves_a_branch_under_its_own_name(client: httpx.Client, name: str) -> None:
    """Answers differ where the segments differ, keep their tags, and are not mixed."""
    uuid = next(iter(client.get("/dvid/api/repos/info").json()))

    def asked(channel: str, tag: str = "") -> httpx.Response:
        headers = {"if-none-match": tag} if tag else {}
        address = ADDRESSES[name].format(channel, uuid=uuid)
        for _ in range(200):
            answer = client.get(address, headers=headers)
            if answer.status_code != 503:
                break
            time.sleep(0.05)
        return answer

    post(client, "merge", ids=[1, 2])
    post(client, "branch", name="try", at=0)
    main, branch = asked("seg"), asked("seg@try")
    assert (main.status_code, branch.status_code) == (200, 200), (main.text, branch.text)
    assert main.content != branch.content
    for _ in range(2):
        assert asked("seg").content == main.content
        assert asked("seg@try").content == branch.content
        assert asked("seg@1").content == main.content
        assert asked("seg@0").content == branch.content
    if "etag" in main.headers:
        assert main.headers["etag"] != branch.headers["etag"]
        assert asked("seg@try", branch.headers["etag"]).status_code == 304
        assert asked("seg@try", main.headers["etag"]).status_code == 200
        assert asked("seg", main.headers["etag"]).status_code == 304
    post(client, "merge", "seg@try", ids=[1, 2])
    assert asked("seg@try").content == main.content
    assert asked("seg@0").content == branch.content
    unknown = asked("seg@none")
    assert unknown.status_code == 404
    assert "no branch or snapshot none" in unknown.text
    assert "there are try" in unknown.text
    raw = asked("seg@2999-01-01")
    assert raw.status_code == 400, raw.text


def test_an_image_has_no_branches(client: httpx.Client) -> None:
    answer = client.get("/pre/em@try/0/0-16_0-16_0-16")
    assert answer.status_code == 404
    assert "is an image; only a segmentation has try" in answer.text
    assert client.get("/pre/em@try/info").status_code == 404


def test_facts_of_a_branch_have_its_name(client: httpx.Client) -> None:
    post(client, "branch", name="try")
    for address in ("/pre/seg@try/info", "/zarr/seg@try/.zattrs", "/n5/seg@try/attributes.json"):
        assert client.get(address).status_code == 200, address
    group = "experiment=e&sample=s&dataset=d"
    about = client.get(f"/api/channel_metadata?{group}&channel=seg@try").json()
    assert about["name"] == "seg@try"
    names = client.get(f"/api/channels?{group}").json()
    assert names == ["seg", "em", "a@b"]
    assert (
        client.get(
            "/dvid/api/node/{}/seg@try/info".format(
                next(iter(client.get("/dvid/api/repos/info").json()))
            )
        ).json()["Base"]["Name"]
        == "seg@try"
    )


def test_what_differs_is_told_in_pages(client: httpx.Client) -> None:
    post(client, "merge", ids=[1, 2])
    post(client, "branch", name="try")
    post(client, "merge", "seg@try", ids=[2, 3])
    post(client, "merge", ids=[5, 6])
    post(client, "merge", ids=[7, 8])
    post(client, "undo", operations=[3])
    for _ in range(200):
        if client.get("/api/segments?experiment=e&sample=s&dataset=d&channel=seg").is_success:
            break
        time.sleep(0.05)
    found = get(client, "diff", **{"from": "main", "to": "try"})
    assert found["total"] == 2
    first, second = found["differences"]
    assert first["from"] == [
        {"id": "1", "supervoxels": ["1", "2"], "count": 2},
        {"id": "3", "supervoxels": ["3"], "count": 1},
    ]
    assert first["to"] == [{"id": "2", "supervoxels": ["1", "2", "3"], "count": 3}]
    assert (first["low"], first["high"]) == ([0, 0, 0], [12, 4, 4])
    assert [each["id"] for each in second["from"]] == ["5", "6"] or len(second["from"]) == 1
    # The address of a branch is what is compared, if nothing else is said.
    assert get(client, "diff", "seg@try", **{"from": "main"}) == found
    page = get(client, "diff", "seg@try", **{"from": "main", "start": 1, "count": 1})
    assert page["differences"] == [second]
    assert get(client, "diff", **{"from": "1", "to": "try@1"})["total"] == 0
    assert get(client, "diff", **{"from": "0"})["total"] == 2
    assert get(client, "diff", **{"from": "try", "to": "0"})["total"] == 1


def test_a_branch_is_merged_and_the_merge_is_taken_back(client: httpx.Client) -> None:
    post(client, "merge", ids=[1, 2], user="Ada")
    post(client, "branch", name="try")
    post(client, "merge", "seg@try", ids=[3, 4], user="Bo")
    post(client, "split", "seg@try", parts=[[1]], user="Cy")
    post(client, "merge", "seg@try", ids=[5, 6], user="Cy")
    post(client, "undo", "seg@try", operations=[4])
    post(client, "merge", ids=[7, 8], user="Ada")
    assert get(client, "conflicts", **{"from": "try"}) == {
        "operations": 2,
        "conflicts": [],
        "count": 0,
    }
    asked = {"from": "try", "user": "Di", "key": "once"}
    merged = post(client, "merge-branch", **asked)
    assert merged["operations"] == [3, 4]
    assert post(client, "merge-branch", **asked)["operations"] == [3, 4]
    assert row(client) == [1, 2, 3, 3]
    log = get(client, "log")["operations"]
    assert [each["user"] for each in log] == ["Cy", "Bo", "Ada", "Ada"]
    assert refused(client, "merge-branch", **{"from": "try"})[0] == 400
    post(client, "undo", operations=merged["operations"])
    assert row(client) == [1, 1, 3, 4]


def test_a_conflict_is_told_and_resolved(client: httpx.Client) -> None:
    post(client, "merge", ids=[1, 2, 3], user="Ada")
    post(client, "branch", name="try")
    post(client, "split", "seg@try", parts=[[1]], user="Bo")
    post(client, "merge", "seg@try", ids=[5, 6], user="Bo")
    # The channel joins both sides of the branch's split again.
    post(client, "split", parts=[[2]], user="Ada")
    post(client, "merge", ids=[2, 1], user="Ada")
    asked = {"from": "try"}
    told = get(client, "conflicts", **asked)
    assert told["count"] == 1
    conflict = told["conflicts"][0]
    assert conflict["theirs"]["operation"] == 2
    assert conflict["theirs"]["user"] == "Bo"
    assert conflict["ours"]
    assert conflict["choices"] == ["ours", "theirs"]
    status, text = refused(client, "merge-branch", **asked)
    assert status == 409
    assert "1 operations of try stand against later ones here: 2 (cut by Bo" in text
    before = row(client)
    ours = post(client, "merge-branch", **asked, choices={"2": "ours"})
    assert ours["left_out"] == [2]
    assert row(client) == before
    post(client, "undo", operations=ours["operations"])
    # What was taken back here stands against doing it again.
    assert [c["theirs"]["operation"] for c in get(client, "conflicts", **asked)["conflicts"]] == [
        *[2, 3]
    ]
    post(client, "merge-branch", **asked, choices={"2": "theirs", "3": "theirs"})
    now = row(client)
    assert now[0] not in (now[1], now[2])
    assert now[1] == now[2]


def test_what_a_branch_painted_and_split_inside_is_merged(client: httpx.Client) -> None:
    """With ids of its own; what others painted, or took back, since is asked for."""
    pytest.importorskip("scipy")
    post(client, "branch", name="try")
    corner = [[0, 0, 0], [1, 1, 1]]
    post(client, "paint", "seg@try", box=corner, id="4", user="Bo")
    split = {"sources": [[4, 0, 0]], "sinks": [[7, 3, 3]], "user": "Cy"}
    parted = post(client, "split", "seg@try", **split)["segments"]
    post(client, "merge", "seg@try", ids=[3, parted[0]["id"]], user="Cy")
    asked = {"from": "try"}
    sides = get(client, "diff", **asked)["differences"]
    listed = [[s["supervoxels"] for s in each[side]] for each in sides for side in ("from", "to")]
    assert listed == [
        *[[["1"]]] * 2,
        *[[["2"]]] * 2,
        [["3", "66"]],
        [["3"]],
        [["4", "65"]],
        [["4"]],
    ]
    assert row(client, "seg@try", labels="patched") == [65, 66, 3, 4]
    post(client, "paint", box=[[12, 0, 0], [13, 1, 1]], id="new", user="Ada")
    merged = post(client, "merge-branch", **asked)
    assert merged["operations"] == [2, 3, 4]
    # 67 is what the channel painted itself.
    assert row(client, labels="patched") == [68, 69, 3, 67]
    assert row(client)[:3] == row(client, "seg@try")[:3] == [4, 3, 3]
    log = get(client, "log", count=3)["operations"]
    assert [each["user"] for each in log] == ["Cy", "Cy", "Bo"]
    # What the channel painted, and what that was of.
    assert get(client, "diff", **asked)["total"] == 2
    post(client, "undo", operations=merged["operations"])
    assert row(client, labels="patched")[:3] == [1, 2, 3]
    # What was taken back, and what was painted since, stands against it.
    post(client, "paint", box=corner, id="2", user="Ada")
    told = get(client, "conflicts", **asked)["conflicts"]
    assert [(each["theirs"]["operation"], each["choices"]) for each in told] == [
        *[(1, ["ours", "theirs"]), (2, ["ours", "theirs"])]
    ]
    assert [each["operation"] for each in told[0]["ours"]] == [5, 6]
    status, text = refused(client, "merge-branch", **asked, choices={"1": "theirs"})
    assert status == 409
    assert "It was taken back here." in text
    done = post(client, "merge-branch", **asked, choices={"1": "theirs", "2": "theirs"})
    assert len(done["operations"]) == 3
    assert row(client)[0] == 4


def told(socket: Any) -> Any:
    return json.loads(socket.recv(timeout=10))


def test_websockets_of_a_branch_are_a_room_of_their_own(client: httpx.Client) -> None:
    """A client of the branch hears of edits of the branch, over any protocol, and of no others."""
    from websockets.sync.client import connect

    post(client, "merge", ids=[1, 2])
    post(client, "branch", name="try")
    post(client, "snapshot", name="v1")
    address = str(client.base_url).replace("http", "ws").rstrip("/") + "/ws/e/s/d/"
    with connect(address + "seg") as main, connect(address + "seg@try") as branch:
        assert told(main)["merge"] == told(branch)["merge"] == [["1", "2"]]
        branch.send(json.dumps({"action": "save", "merge": [["3", "4"]]}))
        assert told(branch)["merge"] == [["1", "2"], ["3", "4"]]
        post(client, "merge", ids=[5, 6])
        assert told(main)["merge"] == [["1", "2"], ["5", "6"]]
        post(client, "merge", "seg@try", ids=[7, 8])
        assert told(branch)["merge"] == [["1", "2"], ["3", "4"], ["7", "8"]]
    with connect(address + "seg@v1") as frozen:
        assert told(frozen)["merge"] == [["1", "2"]]
        frozen.send(json.dumps({"action": "save", "merge": [["3", "4"]]}))
        answer = told(frozen)
        assert "never changes: make a branch from it" in answer["error"]
        assert answer["merge"] == [["1", "2"]]
    assert row(client) == [1, 1, 3, 4]
    assert row(client, "seg@try") == [1, 1, 3, 3]
