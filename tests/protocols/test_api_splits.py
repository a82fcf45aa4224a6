"""Splits by points over HTTP, and what they would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases.sqlite import Sqlite
from bfly.edits.stored_edges import EdgeStore, StoredEdges, keep
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

SIZE = (40, 8, 8)
OFFSET = (3, 0, 50)
LEFT, RIGHT, FAR = [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]


def tubes() -> np.ndarray:
    """Two tubes of four supervoxels each, with a small contact, and two supervoxels far away."""
    voxels = np.zeros((12, 40, 400), "u4")
    for part in range(4):
        x = slice(25 * part, 25 * part + 25)
        voxels[2:10, 4:16, x] = LEFT[part]
        voxels[2:10, 18:30, x] = RIGHT[part]
    voxels[4:6, 16:18, 40:44] = 2
    voxels[2:10, 4:16, 320:360] = FAR[0]
    voxels[2:10, 20:30, 320:360] = FAR[1]
    return voxels


@pytest.fixture
def client(tmp_path: Path, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    voxels = tubes()
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = voxels
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["main"] = np.where(voxels > 0, 200, 20).astype("u1")
    shared = {"voxel_offset": OFFSET, "voxel_size": SIZE}
    channels = [
        {"name": "seg", "path": str(tmp_path / "seg.h5"), "kind": "segmentation", **shared},
        {"name": "em", "path": str(tmp_path / "em.h5"), "kind": "image", **shared},
        {"name": "gone", "path": str(tmp_path / "gone.h5"), **shared},
    ]
    dataset = {"name": "d", "path": str(tmp_path), "channels": channels}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    config = Config.parse({"bfly": {"experiments": tree, "pyramid": pyramid}}, "test.yaml")
    with serve(config, Sqlite(str(tmp_path / "bfly.db"), runtime_of(config))) as client:
        yield client


def at(z: float, y: float, x: float) -> list[float]:
    """Return a point of the file as clients send it."""
    return [x + OFFSET[2], y + OFFSET[1], z + OFFSET[0]]


def post(client: httpx.Client, action: str, **asked: Any) -> Any:
    answer = client.post(f"/api/edits/e/s/d/seg/{action}", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def roots(client: httpx.Client) -> dict[int, str]:
    ids = ",".join(map(str, [*LEFT, *RIGHT, *FAR]))
    found = client.get("/api/edits/e/s/d/seg/roots", params={"ids": ids}).json()["roots"]
    return {int(each["supervoxel"]): each["root"] for each in found}


@pytest.mark.parametrize("is_indexed", [False, True])
def test_two_tubes_are_parted_where_they_touch(client: httpx.Client, is_indexed: bool) -> None:
    """One point in each is enough; what is far away follows its merge, or its place."""
    if is_indexed:
        assert client.get("/api/segments?experiment=e&sample=s&dataset=d&channel=seg").is_success
    post(client, "merge", ids=[*LEFT, FAR[0]])
    post(client, "merge", ids=[*RIGHT, FAR[1]])
    post(client, "merge", ids=[2, 6])
    points = {"sources": [at(5, 10, 90)], "sinks": [at(5, 24, 10)]}
    seen = post(client, "preview", **points)
    assert sorted(map(int, seen["sources"])) == sorted([*LEFT, FAR[0]])
    assert sorted(map(int, seen["sinks"])) == sorted([*RIGHT, FAR[1]])
    assert seen["area_um2"] == pytest.approx(2 * 4 * 40 * 8 / 1e6)
    assert len(set(roots(client).values())) == 1
    split = post(client, "split", **points, user="Ada")
    assert split["points"] == [[140, 10, 8], [60, 24, 8]]
    now = roots(client)
    assert len({now[each] for each in (*LEFT, FAR[0])}) == 1
    assert len({now[each] for each in (*RIGHT, FAR[1])}) == 1
    assert set(now.values()) == {each["root"] for each in split["segments"]}
    assert post(client, "split", **points, user="Ada") == split
    post(client, "undo", operations=[split["operation"]])
    assert len(set(roots(client).values())) == 1


def test_stored_edges_decide_where_a_segment_is_cut(client: httpx.Client, tmp_path: Path) -> None:
    """The graph of another program outweighs contacts: the small contact is strong in it."""
    post(client, "merge", ids=[*LEFT, *RIGHT])
    points = {"sources": [at(5, 10, 90)], "sinks": [at(5, 24, 90)]}
    seen = post(client, "preview", **points)
    assert sorted(map(int, seen["sources"])) == LEFT
    pairs = [(1, 2), (2, 3), (3, 4), (2, 6), (5, 6), (6, 7), (7, 8), (1, 99)]
    weights = [0.9, 0.9, 0.9, 0.8, 0.9, 0.1, 0.9, 0.9]
    edges = StoredEdges(np.array(pairs, np.uint64), np.array(weights, np.float32))
    log = Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()
    assert isinstance(log, EdgeStore)
    keep(log, str(tmp_path / "seg.h5"), edges)
    seen = post(client, "preview", **points)
    assert sorted(map(int, seen["sources"])) == [*LEFT, 5, 6]
    split = post(client, "split", **points)
    now = roots(client)
    assert {one for one in now if now[one] == now[7]} == {7, 8}
    assert len(split["segments"]) == 2


def test_a_wrong_merge_of_parts_comes_back_as_they_were(client: httpx.Client) -> None:
    """What was in one part stays together, though contacts say otherwise."""
    post(client, "merge", ids=[*LEFT, *RIGHT])
    post(client, "split", parts=[[1, 5, 2, 6]])
    post(client, "merge", points=[at(5, 10, 40), at(5, 10, 60)])
    points = {"sources": [at(5, 10, 5)], "sinks": [at(5, 24, 90)]}
    seen = post(client, "preview", **points)
    assert sorted(map(int, seen["sources"])) == [1, 2, 5, 6]
    assert sorted(map(int, seen["sinks"])) == [3, 4, 7, 8]
    # Points of both groups in one part: contacts decide.
    points["sinks"].append(at(5, 24, 10))
    points["sources"].append(at(5, 10, 90))
    seen = post(client, "preview", **points)
    assert sorted(map(int, seen["sources"])) == LEFT
    assert sorted(map(int, seen["sinks"])) == RIGHT


def test_a_merge_of_several_ids_says_nothing_of_their_order(client: httpx.Client) -> None:
    post(client, "merge", ids=[1, 5, 2, 6, 3, 7, 4, 8])
    seen = post(client, "preview", sources=[at(5, 10, 5)], sinks=[at(5, 24, 90)])
    assert sorted(map(int, seen["sources"])) == LEFT


def test_a_point_beside_the_segment_means_the_nearest_voxel(client: httpx.Client) -> None:
    post(client, "merge", ids=[1, 2, 3, 4, 5, 6, 7, 8])
    split = post(client, "split", sources=[at(5, 10, 5)], sinks=[at(5, 31.5, 60)])
    assert split["points"][1] == [110, 29, 8]
    assert len({root for one, root in roots(client).items() if one in LEFT}) == 1


def test_a_split_that_cannot_be_made_is_refused_in_words(client: httpx.Client) -> None:
    post(client, "merge", ids=LEFT)
    left, far = at(5, 10, 5), at(5, 10, 340)
    for asked, words in (
        ({"sources": [left], "sinks": [left]}, "nearest to the same voxel (x 55, y 10, z 8)"),
        ({"sources": [left], "sinks": [far]}, "The segment has no voxel within"),
        ({"sources": [at(0, 0, 0)], "sinks": [left]}, "At the first source"),
        ({"sources": [at(-9, 0, 0)], "sinks": [left]}, "At the first source"),
        ({"sources": [left], "sinks": []}, "sinks is not a list"),
        ({"sources": [[1, 2]], "sinks": [left]}, "is not [x, y, z]"),
        ({"sources": [["a", 2, 3]], "sinks": [left]}, "is not a number"),
        ({"sources": [[1e300, 2, 3]], "sinks": [left]}, "is not a number"),
    ):
        for action in ("split", "preview"):
            answer = client.post(f"/api/edits/e/s/d/seg/{action}", json=asked)
            assert answer.status_code == 400, answer.text
            assert words in answer.text, answer.text
