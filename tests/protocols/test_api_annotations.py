"""Annotations that people make: over HTTP, as CSV, and as precomputed annotations."""

from __future__ import annotations

import csv
import io
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import cloudvolume
import h5py
import numpy as np
import pytest

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.core import drawn_collections
from bfly.databases.nodb import Nodb
from bfly.databases.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

ADDRESS = "/api/annotations/e/s/d"
PRE = "/pre/e/s/d/em"

POINT = {"type": "point", "points": [[40.5, 8.25, 5]], "text": "A ☕\nhere", "tags": ["b", "a"]}
LINE = {"type": "line", "points": [[9, 8, 5], [-3, 8, 5]], "done": True}
BOX = {"type": "box", "points": [[20, 0, 9], [0, 20, 1]], "tags": ["a"]}


@pytest.fixture(params=["Sqlite", "Nodb"])
def client(
    request: pytest.FixtureRequest, tmp_path: Path, serve: Callable[..., Any]
) -> Iterator[httpx.Client]:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["main"] = np.zeros((8, 16, 64), "u1")
    channel = {"name": "em", "path": str(tmp_path / "em.h5"), "voxel_size": [40, 4, 8]}
    datasets = [
        {"name": name, "path": str(tmp_path), "channels": [channel]} for name in ("d", "other")
    ]
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": datasets}]}]
    config = Config.parse({"bfly": {"experiments": tree}}, "test.yaml")
    path, runtime = str(tmp_path / "bfly.db"), runtime_of(config)
    database = Sqlite(path, runtime) if request.param == "Sqlite" else Nodb("", runtime)
    with serve(config, database) as client:
        yield client


def post(client: httpx.Client, action: str, **asked: Any) -> Any:
    answer = client.post(f"{ADDRESS}/{action}", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def get(client: httpx.Client, action: str, **asked: Any) -> Any:
    answer = client.get(f"{ADDRESS}/{action}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def listed(client: httpx.Client, **asked: Any) -> list[int]:
    return [each["id"] for each in get(client, "list", **asked)["annotations"]]


def test_what_is_made_is_listed_edited_and_deleted(client: httpx.Client) -> None:
    assert get(client, "list") == {"last": 0, "total": 0, "annotations": [], "next": None}
    made = post(client, "create", annotations=[POINT, LINE, BOX], user="Ada")
    assert made["last"] == 3
    point, line, box = made["annotations"]
    assert {word: point[word] for word in POINT} == POINT
    assert (point["user"], point["creator"], point["done"]) == ("Ada", "Ada", False)
    assert (line["points"], line["done"]) == ([[9, 8, 5], [-3, 8, 5]], True)
    assert box["points"] == [[0, 0, 1], [20, 20, 9]]
    assert get(client, "list")["annotations"] == made["annotations"]
    changed = post(client, "edit", annotations=[{"id": 1, "done": True}], user="Bo", seen=3)
    assert changed["annotations"][0] == {
        **point,
        **{"revision": 4, "done": True, "user": "Bo"},
        "time": changed["annotations"][0]["time"],
    }
    post(client, "delete", ids=[2], user="Bo")
    assert listed(client) == [1, 3]
    found = get(client, "history", id=2)["changes"]
    assert [(each["action"], each["user"]) for each in found] == [
        ("create", "Ada"),
        ("delete", "Bo"),
    ]
    first = get(client, "history", id=1, count=1)
    assert (len(first["changes"]), first["next"]) == (1, 1)
    assert get(client, "history", id=1, after=1)["changes"][0]["revision"] == 4
    assert client.get("/api/annotations/e/s/other/list").json()["total"] == 0


def test_filters_and_pages(client: httpx.Client) -> None:
    post(client, "create", annotations=[POINT, LINE, BOX], user="Ada")
    for asked, found in (
        ({"type": "box"}, [3]),
        ({"tag": "a"}, [1, 3]),
        ({"text": "a ☕"}, [1]),
        ({"done": "true"}, [2]),
        ({"user": "Bo"}, []),
        ({"since": "2020-01-01"}, [1, 2, 3]),
        ({"since": 4e9}, []),
        ({"box": "-5,0,0,0,10,10"}, [2]),
        ({"box": "40,8,5,41,9,6"}, [1]),
    ):
        assert listed(client, **asked) == found, asked
    page = get(client, "list", count=2)
    assert (page["total"], page["next"], len(page["annotations"])) == (3, 2, 2)
    page = get(client, "list", count=2, after=2)
    assert (page["total"], page["next"], len(page["annotations"])) == (3, None, 1)


def test_the_list_as_csv(client: httpx.Client) -> None:
    """All annotations, in the same words as JSON."""
    many = [{"type": "point", "points": [[x, 1, 2]]} for x in range(250)]
    post(client, "create", annotations=[POINT, LINE, *many], user="Ada")
    answer = client.get(f"{ADDRESS}/list", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [int(row["id"]) for row in rows] == list(range(1, 253))
    assert {word: rows[0][word] for word in ("type", "x", "y", "z", "x2", "text", "tags")} == {
        **{"type": "point", "x": "40.5", "y": "8.25", "z": "5.0", "x2": ""},
        **{"text": "A ☕\nhere", "tags": "b;a"},
    }
    assert (rows[1]["x2"], rows[1]["done"]) == ("-3.0", "true")
    asked = {"format": "csv", "count": 120, "done": "false"}
    few = client.get(f"{ADDRESS}/list", params=asked).text
    assert few.count("\n") == 120 + 1 + 1  # a header, and a line break in a text


def test_a_repeated_request_and_what_others_did(client: httpx.Client) -> None:
    asked = {"annotations": [POINT], "user": "Ada", "key": "k"}
    first = post(client, "create", **asked)
    assert post(client, "create", **asked) == first
    answer = client.post(f"{ADDRESS}/create", json={**asked, "annotations": [LINE]})
    assert (answer.status_code, "another request" in answer.text) == (409, True)
    post(client, "edit", annotations=[{"id": 1, "text": "b"}], user="Bo")
    late = {"annotations": [{"id": 1, "text": "c"}], "user": "Ada", "seen": 1}
    answer = client.post(f"{ADDRESS}/edit", json=late)
    assert answer.status_code == 409
    assert "annotation 1 was changed by Bo at 20" in answer.text
    assert get(client, "list")["annotations"][0]["text"] == "b"


REFUSED = [
    ("create", {}, 400, "annotations is not a list of 1 to 1000 objects"),
    ("create", {"annotations": []}, 400, "1 to 1000"),
    ("create", {"annotations": [POINT] * 1001}, 400, "1 to 1000"),
    ("create", {"annotations": [3]}, 400, "is not an object with type, points, text"),
    ("create", {"annotations": [{**POINT, "colour": 1}]}, 400, "has colour; allowed are"),
    ("create", {"annotations": [{"type": "point"}]}, 400, "points is missing"),
    ("create", {"annotations": [{**POINT, "type": "box"}]}, 400, "A box has 2 points, not 1"),
    ("create", {"annotations": [{**POINT, "type": []}]}, 400, "The type [] is not in"),
    (
        "create",
        {"annotations": [{**POINT, "points": [[1, 2]]}]},
        400,
        "The point [1, 2] is not [x, y, z]",
    ),
    ("create", {"annotations": [{**POINT, "points": [[1, 2, "3"]]}]}, 400, "points 3 is not"),
    ("create", {"annotations": [{**POINT, "points": [[1, 2, 1e10]]}]}, 400, "from -2^31 to"),
    ("create", {"annotations": [{**POINT, "text": "x" * 10_001}]}, 400, "10000 characters"),
    ("create", {"annotations": [{**POINT, "text": "\0"}]}, 400, "10000 characters"),
    ("create", {"annotations": [{**POINT, "text": "\ud800"}]}, 400, "10000 characters"),
    ("create", {"annotations": [{**POINT, "tags": ["x"] * 51}]}, 400, "up to 50 texts"),
    ("create", {"annotations": [{**POINT, "tags": ["x;y"]}]}, 400, "unlike 'x;y'"),
    ("create", {"annotations": [{**POINT, "tags": ["x" * 201]}]}, 400, "1 to 200"),
    ("create", {"annotations": [{**POINT, "tags": [""]}]}, 400, "1 to 200"),
    ("create", {"annotations": [{**POINT, "done": 1}]}, 400, "neither true nor false"),
    ("create", {"annotations": [POINT], "user": "x" * 201}, 400, "The user is not text"),
    ("create", {"annotations": [POINT], "seen": 1}, 400, "create takes no seen"),
    ("edit", {"annotations": [{"id": 5, "text": "x"}]}, 404, "There is no annotation 5"),
    ("edit", {"annotations": [{"text": "x"}]}, 400, "The id None is not an integer"),
    ("edit", {"annotations": [{"id": 1, "type": "box"}]}, 400, "has type; allowed are id"),
    ("edit", {"annotations": [{"id": 1}, {"id": 1}]}, 400, "annotation 1 is twice"),
    ("delete", {"ids": [5]}, 404, "There is no annotation 5"),
    ("delete", {"ids": "5"}, 400, "ids is not a list"),
    ("move", {}, 404, "There is no move of annotations; allowed are list, history, create"),
    ("list", {}, 405, "The method POST is not in"),
]


def test_what_is_refused(client: httpx.Client) -> None:
    for action, asked, status, words in REFUSED:
        # As ASCII: a client in another language may write half of a pair of surrogates.
        answer = client.post(f"{ADDRESS}/{action}", content=json.dumps(asked))
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert get(client, "list")["total"] == 0


REFUSED_ADDRESSES = [
    (f"{ADDRESS}/list?box=1,2,3", 400, "The box is not x,y,z,x,y,z"),
    (f"{ADDRESS}/list?box=1,2,3,4,5,x", 400, "is not six numbers"),
    (f"{ADDRESS}/list?box=1,2,3,4,5,nan", 400, "box nan is not a number"),
    (f"{ADDRESS}/list?text=%00", 400, "The text is not text of up to 200"),
    (f"{ADDRESS}/list?done=yes", 400, "The done yes is not in"),
    (f"{ADDRESS}/list?count=1001", 400, "1 to 1000"),
    (f"{ADDRESS}/list?type=circle", 400, "['point', 'line', 'box']"),
    (f"{ADDRESS}/history?id=1", 404, "There is no annotation 1"),
    ("/api/annotations/e/s/x/list", 404, "There is no dataset at e/s/x"),
    ("/api/annotations/list", 404, "There is no dataset at /"),
    (f"{PRE}/annotations-points/by_id/1", 404, "There is no point 1"),
    (f"{PRE}/annotations-points/by_id/{2**64 - 1}", 400, "is not from 0 to"),
    (f"{PRE}/annotations-circles/info", 404, "There is no /annotations-circles/info"),
    (f"{PRE}/annotations-points/spatial0/0_0_1", 404, "There is no /annotations-points"),
]


def test_addresses_that_are_refused(client: httpx.Client) -> None:
    for address, status, words in REFUSED_ADDRESSES:
        answer = client.get(address)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_another_site_cannot_write(client: httpx.Client) -> None:
    """A page elsewhere may not change anything in the name of the visitor."""
    headers = {"Origin": "https://elsewhere.example"}
    answer = client.post(f"{ADDRESS}/create", json={"annotations": [POINT]}, headers=headers)
    assert answer.status_code == 403
    assert get(client, "list")["total"] == 0


def test_writers_at_the_same_time_are_all_kept(client: httpx.Client) -> None:
    def write(number: int) -> int:
        return post(client, "create", annotations=[POINT], user=f"u{number}")["annotations"][0][
            "id"
        ]

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(write, range(12))) == list(range(1, 13))
    assert get(client, "list")["total"] == 12


def labels(info: dict[str, Any], name: str) -> dict[int, str]:
    """Return the labels of the numbers of a property."""
    [found] = [each for each in info["properties"] if each["id"] == name]
    return dict(zip(found["enum_values"], found["enum_labels"], strict=True))


@pytest.mark.parametrize(
    ("name", "kind", "sides", "number"),
    [
        ("points", "POINT", [40.5, 8.25, 5], 1),
        ("lines", "LINE", [9, 8, 5, -3, 8, 5], 2),
        ("boxes", "AXIS_ALIGNED_BOUNDING_BOX", [0, 0, 1, 20, 20, 9], 3),
    ],
)
def test_a_collection_has_the_bytes_of_the_format(
    client: httpx.Client, name: str, kind: str, sides: list[float], number: int
) -> None:
    """Decoded as ``annotation.rst`` describes it."""
    address = f"{PRE}/annotations-{name}"
    empty = client.get(f"{address}/info").json()
    assert (empty["lower_bound"], empty["upper_bound"]) == ([0, 0, 0], [64, 16, 8])
    assert client.get(f"{address}/spatial0/0_0_0").content == bytes(8)
    post(client, "create", annotations=[POINT, LINE, BOX], user="Ada")
    post(client, "edit", annotations=[{"id": number, "text": "x " * 99}], user="Bo")
    answer = client.get(f"{address}/info")
    assert answer.headers["cache-control"] == "public, no-cache"
    info = answer.json()
    assert info["annotation_type"] == kind
    assert info["dimensions"] == {"x": [8e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]}
    low, high = info["lower_bound"], info["upper_bound"]
    assert info["spatial"][0]["chunk_size"] == [
        stop - start for start, stop in zip(low, high, strict=True)
    ]
    for start, stop, side in zip(low * 2, high * 2, sides, strict=False):
        assert start <= side < stop
    record = struct.Struct(f"<{len(sides)}fIHHB3x")
    data = client.get(f"{address}/spatial0/0_0_0").content
    assert struct.unpack_from("<Q", data) == (1,)
    *places, text, tag, user, done = record.unpack_from(data, 8)
    assert struct.unpack_from("<Q", data, 8 + record.size) == (number,)
    assert len(data) == 8 + record.size + 8
    assert places == sides
    assert labels(info, "text")[text] == "x " * 49 + "x…"
    assert labels(info, "tag")[tag] == {1: "b", 2: "none", 3: "a"}[number]
    assert labels(info, "user")[user] == "Bo"
    assert labels(info, "done")[done] == ("done" if number == 2 else "to do")
    assert client.get(f"{address}/by_id/{number}").content == data[8:-8]
    post(client, "delete", ids=[number])
    assert client.get(f"{address}/by_id/{number}").status_code == 404


def test_a_number_keeps_its_meaning(client: httpx.Client) -> None:
    """A viewer keeps `info` while annotations change."""
    address = f"{PRE}/annotations-points"
    post(client, "create", annotations=[POINT], user="Ada")
    before = client.get(f"{address}/info").json()
    post(client, "create", annotations=[{**POINT, "tags": ["0 first"], "text": "new"}], user="Al")
    post(client, "delete", ids=[1], user="Bo")
    after = client.get(f"{address}/info").json()
    for name in ("tag", "user", "done"):
        assert labels(before, name).items() <= labels(after, name).items()


def test_labels_have_a_limit(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest texts and the first tags have labels; the others are numbers."""
    monkeypatch.setattr(drawn_collections, "MOST_LABELS", 2)
    made = [{**POINT, "text": f"t{n}", "tags": [f"g{n}"]} for n in range(4)]
    post(client, "create", annotations=made)
    info = client.get(f"{PRE}/annotations-points/info").json()
    assert labels(info, "text") == {0: "none", 4: "t3", 3: "t2"}
    assert labels(info, "tag") == {0: "none", 1: "g0", 2: "g1"}


def test_cloudvolume_reads_points(client: httpx.Client) -> None:
    """Not lines: CloudVolume 12.15 fails on those of any writer."""
    post(client, "create", annotations=[POINT, {**POINT, "points": [[1, 2, 3]]}], user="Ada")
    address = str(client.base_url).rstrip("/") + PRE
    source = cloudvolume.from_cloudpath(f"precomputed://{address}/annotations-points")
    points = source.get_all()
    assert sorted(points.geometry.tolist()) == [[1, 2, 3], [40.5, 8.25, 5]]
    assert points.properties["text"].tolist() == points.ids.tolist() == [1, 2]
    assert source.get_by_id([2])[2].properties["user"] == 1
