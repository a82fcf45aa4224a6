"""HTTP: conditions, ranges, HEAD, CORS, compression."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.server.negotiation import accepted, preferred
from bfly.server.response import MOST_PACKED, Response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

LONG = [
    f"bytes={start}-{stop}"
    for nines in ["9" * 4301]
    for start, stop in [("0", nines), (nines, ""), ("", nines), (nines, nines)]
]
"""More digits than Python turns into a number."""

CHUNK = "/pre/exp::sam::dat/seg/0/0-64_0-64_0-64"


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 9, (64, 64, 64)).astype("u4")


@pytest.fixture(scope="module")
def client(volume, tmp_path_factory, serve, make_tree) -> Iterator[httpx.Client]:
    path: Path = tmp_path_factory.mktemp("send_response") / "seg.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=volume, chunks=(64, 64, 64))
    with serve(make_tree({"name": "seg", "path": str(path)})) as client:
        client.headers["accept-encoding"] = "identity"
        yield client


def test_get_and_head_say_the_same(client, volume) -> None:
    got, head = client.get(CHUNK), client.head(CHUNK)
    assert got.content == volume.tobytes()
    assert head.content == b""
    assert head.status_code == got.status_code == 200
    mine = {k: v for k, v in got.headers.items() if k != "date"}
    assert {k: v for k, v in head.headers.items() if k != "date"} == mine
    assert got.headers["content-length"] == str(volume.nbytes)
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-132", slice(-132, None)),
        ("bytes=5-99999999", slice(5, None)),
        ("bytes=-99999999", slice(0, None)),
    ],
)
def test_ranges(client, volume, asked: str, part: slice) -> None:
    got, body = client.get(CHUNK, headers={"range": asked}), volume.tobytes()
    start, stop, _ = part.indices(len(body))
    assert got.status_code == 206
    assert got.content == body[part]
    assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(body)}"
    assert got.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("asked", ["bytes=9-3", "lines=1-2", "bytes=-", "bytes=0-1,4-5", *LONG])
def test_a_range_that_is_none_is_ignored(client, volume, asked: str) -> None:
    got = client.get(CHUNK, headers={"range": asked})
    assert (got.status_code, got.content) == (200, volume.tobytes())


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_beyond_the_end(client, volume, asked: str) -> None:
    got = client.get(CHUNK, headers={"range": asked})
    assert got.status_code == 416
    assert got.headers["content-range"] == f"bytes */{volume.nbytes}"


def test_etags(client, volume) -> None:
    etag = client.get(CHUNK).headers["etag"]
    assert etag == client.get(CHUNK).headers["etag"]
    assert etag.startswith('"')
    for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        got = client.get(CHUNK, headers={"if-none-match": tag})
        assert (got.status_code, got.content) == (304, b"")
        assert got.headers["etag"] == etag
    assert client.get(CHUNK, headers={"if-none-match": '"other"'}).status_code == 200
    assert client.get(CHUNK, headers={"if-match": '"other"'}).status_code == 412
    assert client.get(CHUNK, headers={"if-match": etag}).content == volume.tobytes()
    part = {"range": "bytes=0-3"}
    assert client.get(CHUNK, headers={**part, "if-range": etag}).status_code == 206
    assert client.get(CHUNK, headers={**part, "if-range": '"other"'}).status_code == 200


def test_gzip_where_it_is_accepted(client, volume) -> None:
    plain = client.get(CHUNK)
    with client.stream("GET", CHUNK, headers={"accept-encoding": "br, gzip;q=0.5"}) as got:
        raw = b"".join(got.iter_raw())
    assert got.headers["content-encoding"] == "gzip"
    assert len(raw) < volume.nbytes / 2
    assert gzip.decompress(raw) == volume.tobytes()
    assert got.headers["etag"] != plain.headers["etag"]
    assert "accept-encoding" in plain.headers["vary"]
    ranged = client.get(CHUNK, headers={"accept-encoding": "gzip", "range": "bytes=4-7"})
    assert ranged.content == volume.tobytes()[4:8]
    assert "content-encoding" not in ranged.headers


def test_the_etag_of_a_packed_answer_does_not_depend_on_the_time() -> None:
    body = bytes(100_000)
    first = Response.make(body, "application/json", codings=("gzip",))
    time.sleep(1.1)
    second = Response.make(body, "application/json", codings=("gzip",))
    assert (b"content-encoding", b"gzip") in first.headers
    assert first.etag == second.etag
    assert bytes(first.body) == bytes(second.body)


def test_a_body_is_packed_only_where_that_takes_little_memory() -> None:
    made = [
        Response.make(bytes(size), "application/octet-stream", codings=("gzip",))
        for size in (MOST_PACKED, MOST_PACKED + 1)
    ]
    assert [len(answer.body) < 1 << 20 for answer in made] == [True, False]
    assert (b"content-encoding", b"gzip") not in made[1].headers


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (b"gzip", True),
        (b"gzip, deflate, br", True),
        (b"GZIP ; q=0.3", True),
        (b"*", True),
        (b"", False),
        (b"identity", False),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000", False),
        (b"deflate, br", False),
    ],
)
def test_accept_encoding(accept: bytes, answer: bool) -> None:
    assert ("gzip" in accepted(accept, b"")) is answer


def test_cors(client) -> None:
    page = "https://neuroglancer-demo.appspot.com"
    for path in (CHUNK, "/api/experiments", "/nothing"):
        got = client.get(path, headers={"origin": page})
        assert got.headers["access-control-allow-origin"] == page
        assert "etag" in got.headers["access-control-expose-headers"]
        assert "origin" in got.headers["vary"]
        assert "origin" in client.get(path).headers["vary"]
    asked = {
        "origin": page,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,range",
        "access-control-request-private-network": "true",
    }
    got = client.options(CHUNK, headers=asked)
    assert got.status_code == 204
    assert got.headers["access-control-allow-headers"] == "authorization,range"
    assert got.headers["access-control-allow-private-network"] == "true"
    assert "GET" in got.headers["access-control-allow-methods"]
    for names in ("x" * 2000, "a;b"):
        asked["access-control-request-headers"] = names
        assert client.options(CHUNK, headers=asked).headers["access-control-allow-headers"] == "*"


def test_no_answer_is_taken_for_what_it_is_not(client) -> None:
    answers = [
        client.get(CHUNK),
        client.head(CHUNK),
        client.get(CHUNK, headers={"range": "bytes=0-3"}),
        client.get(CHUNK, headers={"if-none-match": "*"}),
        client.get("/nothing"),
        client.put(CHUNK),
        client.options(CHUNK),
        client.get("/healthz", headers={"host": "evil.example"}),
        client.get("/healthz", headers={"origin": "https://evil.example"}),
        client.get("/healthz", headers={"padding": "x" * 100_000}),
    ]
    assert [got.status_code for got in answers] == [
        *(200, 200, 206, 304, 404, 405, 204, 403, 403, 431)
    ]
    for got in answers:
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(client, method: str) -> None:
    got = client.request(method, CHUNK)
    assert got.status_code == 405
    assert got.headers["allow"] == "GET, HEAD, OPTIONS"
    assert "not in" in got.text


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (b"", ""),
        (b"*/*", ""),
        (b"text/html", ""),
        (b"image/jpeg", "image/jpeg"),
        (b"text/html, Application/Blosc", "application/blosc"),
        (b"application/blosc;q=0.5, image/jpeg; q=0.6", "image/jpeg"),
        (b"application/blosc, image/jpeg", "image/jpeg"),
        (b"image/jpeg;q=0, application/blosc;v=1;q=.1", "application/blosc"),
        (b"image/jpeg;q=much", ""),
        (b";;,,q=\xff", ""),
    ],
)
def test_accept(accept: bytes, answer: str) -> None:
    assert preferred(accept, ("image/jpeg", "application/blosc")) == answer
