"""Edits over HTTP: merges, splits, undo, redo, and the history."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.core.core import Core
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.merge_table import added
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

FIRST = 1 << 32
"""Root ids of edited segments of a channel of 32 bits are above this."""


@pytest.fixture
def voxels() -> np.ndarray:
    return np.arange(1, 65, dtype="u4").reshape(4, 4, 4).repeat(4, 0).repeat(4, 1).repeat(4, 2)


@pytest.fixture
def client(tmp_path: Path, voxels: np.ndarray, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, array in (
        ("seg", voxels),
        ("em", voxels.astype("f4")),
        ("wide", voxels.astype("u8") + (1 << 40)),
    ):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["main"] = array
    channels = [
        {"name": name, "path": str(folder / f"{name}.h5"), "kind": kind}
        for name, kind in (("seg", "segmentation"), ("em", "image"), ("wide", "segmentation"))
    ]
    dataset = {"name": "d", "path": str(folder), "channels": channels}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    config = Config.parse({"bfly": {"experiments": tree, "pyramid": pyramid}}, "test.yaml")
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


def refused(client: httpx.Client, action: str, **asked: Any) -> tuple[int, str]:
    answer = client.post(f"/api/edits/e/s/d/seg/{action}", json=asked)
    return answer.status_code, answer.text


def segments(client: httpx.Client) -> np.ndarray:
    """Return the segment of each supervoxel, as cutouts have them."""
    address = "/api/data?experiment=e&sample=s&dataset=d&channel=seg&x=0&y=0&z=0"
    answer = client.get(f"{address}&width=16&height=16&depth=16&format=npy")
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))[::4, ::4, ::4].ravel()


def test_what_is_done_is_served_told_and_taken_back(client: httpx.Client) -> None:
    """A merge by ids and one by points, a split, and an undo of each; cutouts follow."""
    merge = post(client, "merge", ids=[1, "2"], user="Ada")
    assert merge["segments"] == [{"id": "1", "root": str(FIRST + 1)}]
    assert (merge["operation"], merge["kind"], merge["user"]) == (1, "merge", "Ada")
    points = [[9, 1, 1], [15, 1, 1], [1, 1, 1]]
    merge = post(client, "merge", points=points, user="Bo")
    assert merge["replaced"] == [str(FIRST + 1)]
    assert segments(client)[:5].tolist() == [3, 3, 3, 3, 5]
    split = post(client, "split", parts=[[1, 4]], user="Bo")
    assert sorted(each["id"] for each in split["segments"]) == ["1", "3"]
    assert segments(client)[:5].tolist() == [1, 3, 3, 1, 5]
    undo = post(client, "undo", operations=[3], user="Ada")
    assert undo["undoes"] == [3]
    assert segments(client)[:5].tolist() == [3, 3, 3, 3, 5]
    assert get(client, "operation", id=3)["undone_by"] == 4
    post(client, "redo", operations=[3])
    assert segments(client)[:5].tolist() == [1, 3, 3, 1, 5]
    post(client, "undo", by="Bo")
    assert segments(client)[:5].tolist() == [1, 1, 3, 4, 5]
    log = get(client, "log")
    assert [each["operation"] for each in log["operations"]] == [6, 5, 4, 3, 2, 1]
    assert [each["operation"] for each in get(client, "log", by="Bo")["operations"]] == [3, 2]
    assert [each["operation"] for each in get(client, "log", id=5)["operations"]] == []
    assert len(get(client, "log", id=4, count=2, before=6)["operations"]) == 2
    assert get(client, "log", since="2020-01-01T00:00:00Z", count=1)["last"] == 6


def insert(folder: Path, rows: list[list[int]]) -> None:
    """Add rows of supervoxel and segment to the log."""
    log = Sqlite(str(folder / "bfly.db"), RUNTIME()).edit_log()
    channel = ChannelEdits(str(folder / "data" / "seg.h5"), log)
    channel.append(added(*np.array(rows, "u8").T, "Di"))


def test_a_point_means_the_segment_there(client: httpx.Client, tmp_path: Path) -> None:
    """Not the one that has the id of the supervoxel there as its name."""
    insert(tmp_path, [[1, 6], [2, 6], [5, 7], [6, 7], [3, 9]])
    assert segments(client)[:9].tolist() == [6, 6, 9, 4, 7, 7, 7, 8, 9]
    merge = post(client, "merge", points=[[5, 5.5, 3], [13, 1, 0]])
    assert merge["segments"][0]["id"] == "7"
    assert merge["points"] == [[5, 5, 3], [13, 1, 0]]
    assert segments(client)[:9].tolist() == [6, 6, 9, 7, 7, 7, 7, 8, 9]
    # An unedited supervoxel is not told from a segment that has its id as name.
    post(client, "merge", points=[[1, 9, 1], [13, 5, 0]])
    assert segments(client)[:9].tolist() == [6, 6, 9, 7, 7, 7, 7, 9, 9]


def test_a_part_without_a_free_id_gets_one_above_all_labels(
    client: httpx.Client, tmp_path: Path
) -> None:
    insert(tmp_path, [[1, 9], [2, 9], [9, 8], [8, 8]])
    post(client, "split", parts=[[9]])
    assert segments(client)[:10].tolist() == [9, 9, 3, 4, 5, 6, 7, 8, 65, 10]


def test_the_name_of_a_segment_is_no_supervoxel(client: httpx.Client, tmp_path: Path) -> None:
    insert(tmp_path, [[1, 999], [2, 999], [5, 998], [6, 998]])
    post(client, "merge", ids=[999, 3])
    post(client, "merge", ids=[998, 999])
    post(client, "undo", operations=[3])
    post(client, "undo", operations=[2])
    assert segments(client)[:9].tolist() == [999, 999, 3, 4, 998, 998, 7, 8, 9]
    log = Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()
    table = ChannelEdits(str(tmp_path / "data" / "seg.h5"), log).state.table()
    assert sorted(table[0].tolist()) == [1, 2, 3, 5, 6]


def test_root_ids_are_new_at_every_change(client: httpx.Client) -> None:
    first = get(client, "roots", ids="1,2,5")["roots"]
    assert [each["root"] for each in first] == ["1", "2", "5"]
    post(client, "merge", ids=[1, 2])
    post(client, "merge", ids=[2, 3])
    now = get(client, "roots", ids="1,3,5")
    assert now["operation"] == 2
    assert now["roots"][0] == {"supervoxel": "1", "id": "2", "root": str(FIRST + 2)}
    assert [each["root"] for each in now["roots"]] == [str(FIRST + 2)] * 2 + ["5"]
    twice = get(client, "roots", ids="3,1,3")["roots"]
    assert [each["supervoxel"] for each in twice] == ["3", "1", "3"]
    then = get(client, "roots", ids="1,3", at=1)["roots"]
    assert [each["root"] for each in then] == [str(FIRST + 1), "3"]
    lineage = get(client, "lineage", root=FIRST + 1)
    assert not lineage["is_latest"]
    assert lineage["past"] == [{"operation": 1, "made": [str(FIRST + 1)], "replaced": []}]
    assert [each["operation"] for each in lineage["future"]] == [2]
    assert [each["operation"] for each in get(client, "lineage", root=1)["future"]] == [1, 2]
    assert get(client, "lineage", root=3)["future"][0]["operation"] == 2
    assert get(client, "lineage", root=FIRST + 2)["is_latest"]
    assert client.get(f"/api/edits/e/s/d/seg/lineage?root={FIRST + 9}").status_code == 404


def test_a_request_that_is_repeated_is_done_once(client: httpx.Client) -> None:
    """With a key at any time; without one while its operation is the last one there."""
    once = post(client, "merge", ids=[1, 2], user="Ada")
    assert post(client, "merge", ids=[1, 2], user="Ada") == once
    keyed = post(client, "merge", ids=[1, 3], user="Ada", key="k1")
    post(client, "undo", operations=[keyed["operation"]])
    assert post(client, "merge", ids=[1, 3], user="Ada", key="k1")["operation"] == 2
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: post(client, "merge", ids=[7, 8], key="k2"), range(8)))
    assert {each["operation"] for each in told} == {4}
    assert refused(client, "merge", ids=[2, 1], user="Ada")[0] == 400
    assert get(client, "log")["last"] == 4
    undo = {"by": "Ada", "user": "Bo"}
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: post(client, "undo", **undo), range(8)))
    assert {each["operation"] for each in told} == {5}
    post(client, "merge", ids=[1, 9])
    assert refused(client, "undo", **undo)[0] == 404


def test_others_edits_are_named(client: httpx.Client) -> None:
    """Who states what they saw is told what came since; so is who takes back what others use."""
    post(client, "merge", ids=[1, 2], user="Ada")
    status, text = refused(client, "merge", ids=[2, 9], user="Bo", seen=0)
    assert status == 409
    assert "since the operation 0: 1 (merge by Ada, 20" in text
    assert post(client, "merge", ids=[2, 9], user="Bo", seen=1)["seen"] == 1
    post(client, "split", parts=[[2]], user="Cy")
    status, text = refused(client, "undo", operations=[1])
    assert status == 409
    assert "others came after it: " in text
    assert "3 (cut by Cy" in text
    # Also if nothing is left to do, since others did the same.
    points = [[1, 1, 1], [5, 1, 1]]
    for action, asked, otherwise in (
        ("merge", {"ids": [1, 9]}, 400),
        ("merge", {"points": [[1, 1, 1], [1, 9, 1]]}, 400),
        ("split", {"parts": [[1, 2], [9]]}, 400),
        # The nearest voxels of the segment are in one supervoxel, which is split.
        ("split", {"sources": points[:1], "sinks": points[1:]}, 200),
    ):
        status, text = refused(client, action, user="Di", seen=2, **asked)
        assert (status, "3 (cut by Cy" in text) == (409, True), text
        assert refused(client, action, user="Di", seen=3, **asked)[0] == otherwise


def test_wrong_requests_are_refused_in_words(client: httpx.Client) -> None:
    for action, asked, status, words in (
        ("merge", {"ids": [1]}, 400, "two ids or points at least"),
        ("merge", {"ids": [1, 99]}, 400, "There is no segment or supervoxel 99"),
        ("merge", {"ids": "1,2"}, 400, "ids is not a list of 1 to 10000 whole numbers"),
        ("merge", {"ids": [1, 2.5]}, 400, "ids"),
        ("merge", {"points": [[1, 1, 1], [99, 1, 1]]}, 400, "outside the channel"),
        ("merge", {"points": [[1, 1], [9, 1, 1]]}, 400, "is not [x, y, z]"),
        ("merge", {"ids": [1, 2], "user": 5}, 400, "The user is not text"),
        ("merge", {"ids": [1, 2], "seen": -1}, 400, "seen"),
        ("split", {}, 400, "sources is not a list of 1 to 1000 points"),
        ("split", {"parts": [[1], [2]]}, 400, "not all in the segment"),
        ("undo", {"operations": [5]}, 404, "There is no operation 5; the last one is 0"),
        ("undo", {"by": "Ada"}, 404, "There are no operations of Ada"),
        ("redo", {"operations": [1]}, 409, "not taken back"),
        ("log", {}, 405, "The method POST is not in ['GET', 'HEAD', 'OPTIONS']"),
        ("join", {}, 404, "There is no join of edits; allowed are log, operation, roots"),
        ("merge", {"ids": [1, 2], "points": []}, 400, "merge takes ids, or points, but not both"),
        ("merge", {"ids": [1, True]}, 400, "The ids True is not an integer"),
        ("merge", {"ids": [1, 2], "sen": 1}, 400, "merge takes no sen; allowed are ids, points"),
        ("undo", {"operations": [1], "since": 0}, 400, "since is for undo with by only"),
        ("undo", {"by": "Ada", "since": "nan"}, 400, "since nan is not a time such as"),
    ):
        got, text = refused(client, action, **asked)
        assert (got, words in text) == (status, True), text
    assert client.post("/api/edits/e/s/d/seg/merge", content="[1]").status_code == 400
    assert client.post("/api/edits/e/s/d/seg/merge", content="{").status_code == 400
    wrong = client.get("/api/edits/e/s/d/seg/merge")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "OPTIONS, POST")
    assert client.get("/api/edits/e/s/d/em/log").status_code == 400
    assert client.get("/api/edits/e/s/d/nothing/log").status_code == 404
    assert get(client, "log")["operations"] == []


def test_a_page_of_another_origin_edits_nothing(client: httpx.Client) -> None:
    answer = client.post(
        "/api/edits/e/s/d/seg/merge",
        json={"ids": [1, 2]},
        headers={"origin": "https://elsewhere.example"},
    )
    assert answer.status_code == 403
    assert get(client, "log")["last"] == 0


def test_labels_of_64_bits_have_roots_that_javascript_can_hold(client: httpx.Client) -> None:
    made = post(client, "merge", "wide", ids=[(1 << 40) + 1, (1 << 40) + 2])["segments"][0]["root"]
    assert int(made) == (1 << 47) + 1


def test_an_answer_is_made_again_only_if_an_edit_touches_its_tile(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "data" / "seg.h5", "w") as file:
        blocks = np.arange(1, 17, dtype="u4").reshape(2, 2, 4).repeat(32, 0).repeat(32, 1)
        file.create_dataset("main", data=blocks.repeat(32, 2), chunks=(64, 64, 64))
    made = []
    get_buffer = Core.get_buffer

    def counted(core: Core, query: Any) -> Any:
        made.append(query.x)
        return get_buffer(core, query)

    monkeypatch.setattr(Core, "get_buffer", counted)

    def chunk(x: int, **headers: str) -> httpx.Response:
        address = f"/pre/e::s::d/seg/0/{x}-{x + 64}_0-64_0-64"
        return client.get(address, headers={"accept-encoding": "identity", **headers})

    def served(x: int) -> tuple[str, list[int]]:
        answer = chunk(x)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, no-cache"
        return answer.headers["etag"], np.unique(np.frombuffer(answer.content, "u4")).tolist()

    post(client, "merge", ids=[1, 5])
    first = served(0)
    assert first[1] == [1, 2, 6, 9, 10, 13, 14]
    assert served(64)[1] == [3, 4, 7, 8, 11, 12, 15, 16]
    del made[:]
    for pair in ([3, 4], [8, 12], [11, 15]):
        post(client, "merge", ids=pair)
    assert served(0) == first
    assert made == []
    assert served(64)[1] == [3, 7, 8, 11, 16]
    assert served(0) == first
    assert made == [64]
    post(client, "merge", ids=[3, 9])
    assert served(0)[1] == [1, 2, 3, 6, 10, 13, 14]
    post(client, "undo", operations=[5])
    assert served(0) == first
    assert chunk(0, **{"if-none-match": first[0]}).status_code == 304


def test_the_log_is_asked_anew_each_time(client: httpx.Client) -> None:
    """Also before the first edit: a page that has just looked must see it."""
    assert client.get("/api/edits/e/s/d/seg/log").headers["cache-control"] == "public, no-cache"
