"""Checks of host names and origins on a running server."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

CHUNK = "/pre/exp::sam::dat/seg/0/0-8_0-8_0-8"
VOXELS = np.arange(512, dtype="u4").reshape(8, 8, 8)


@pytest.fixture
def client(serve, make_tree, tmp_path: Path) -> Iterator[httpx.Client]:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = VOXELS
    words = {
        "db-path": str(tmp_path / "bfly.db"),
        "allowed-hosts": ["bfly.lab.org"],
        "allowed-origins": ["https://lab.org"],
    }
    with serve(make_tree({"name": "seg", "path": str(tmp_path / "seg.h5")}, **words)) as client:
        yield client


PATHS = ["/", "/healthz", "/metrics", CHUNK, "/nothing", "/state", "/ws/exp::sam::dat/seg"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_answered_under_another_name(client, path: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT"):
        got = client.request(method, path, headers={"host": "evil.example:2001"})
        assert got.status_code == 403
        assert got.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in got.headers
        assert method == "HEAD" or "allowed-hosts: [bfly.lab.org, evil.example]" in got.text
        assert client.request(method, path, headers={"host": "bfly.lab.org"}).status_code != 403


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_answered_to_another_page(client, path: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT"):
        got = client.request(method, path, headers={"origin": "https://evil.example"})
        assert got.status_code == 403
        assert "access-control-allow-origin" not in got.headers
        got = client.request(method, path, headers={"origin": "https://lab.org"})
        assert got.status_code != 403
        assert got.headers["access-control-allow-origin"] == "https://lab.org"


def test_errors_can_be_read_by_pages_that_are_allowed(client) -> None:
    for path, status in (("/nothing", 404), ("/api/data", 400), (f"{CHUNK}0", 404)):
        got = client.get(path, headers={"origin": "https://lab.org"})
        assert got.status_code == status
        assert got.headers["access-control-allow-origin"] == "https://lab.org"


def test_an_answer_that_is_kept_is_right_for_each_page(client) -> None:
    pages = ["https://lab.org", "", "http://localhost:8080", "https://lab.org", ""]
    for page in pages:
        got = client.get(CHUNK, headers={"origin": page} if page else {})
        assert got.content == VOXELS.tobytes()
        assert got.headers.get("access-control-allow-origin", "") == page
        assert got.headers.get_list("access-control-allow-origin") == [page] * bool(page)
        assert "origin" in got.headers["vary"]
    assert client.get(CHUNK, headers={"origin": "https://evil.example"}).status_code == 403


def test_the_private_network_is_for_pages_that_are_allowed(client) -> None:
    asked = {
        "access-control-request-method": "GET",
        "access-control-request-private-network": "true",
    }
    got = client.options(CHUNK, headers={"origin": "https://lab.org", **asked})
    assert got.headers["access-control-allow-private-network"] == "true"
    got = client.options(CHUNK, headers={"origin": "https://evil.example", **asked})
    assert got.status_code == 403
    assert "access-control-allow-private-network" not in got.headers


def test_a_picture_elsewhere_is_refused_and_a_link_is_not(client) -> None:
    page = {"sec-fetch-site": "cross-site", "referer": "https://evil.example/"}
    picture = {**page, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    assert client.get(CHUNK, headers=picture).status_code == 403
    mine = client.get(CHUNK, headers={**picture, "referer": "https://lab.org/"})
    assert mine.status_code == 200
    assert "cross-origin-resource-policy" not in mine.headers
    link = {**page, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=link).status_code == 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"Host": "evil.example"}, "allowed-hosts"),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, "allowed-hosts"),
        ({"Origin": "https://evil.example"}, "allowed-origins"),
        ({"Origin": "null"}, "allowed-origins"),
        ({"Sec-Fetch-Site": "cross-site"}, "allowed-origins"),
    ],
)
def test_websockets_are_checked_as_well(
    client, words: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    lines = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **words,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    answer = said_to(client, f"GET /ws/exp::sam::dat/seg HTTP/1.1\r\n{head}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403")
    assert said in answer.decode()
    assert b"nosniff" in answer
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def said_to(client, data: bytes) -> bytes:
    """Send bytes, and return what is answered until the connection is closed."""
    with socket.create_connection(("127.0.0.1", client.base_url.port), 30) as one:
        one.sendall(data)
        return b"".join(iter(lambda: one.recv(1 << 16), b""))


def test_a_host_that_is_missing_or_said_twice(client) -> None:
    once = b"Host: localhost\r\n"
    end = b"Connection: close\r\n\r\n"
    get = b"GET /healthz HTTP/1.1\r\n"
    assert said_to(client, get + once + end).startswith(b"HTTP/1.1 200")
    assert said_to(client, get + end).startswith(b"HTTP/1.1 400")
    assert said_to(client, get + once + once + end).startswith(b"HTTP/1.1 400")
    assert said_to(client, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
    posted = said_to(client, b"POST /state HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
    assert f'"http://127.0.0.1:{client.base_url.port}/state/'.encode() in posted


def test_each_refusal_is_logged_once(client, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        client.get("/healthz", headers={"host": "evil.example"})
        client.get("/healthz", headers={"origin": "https://evil.example"})
    lines = [record.getMessage() for record in caplog.records if "evil" in record.getMessage()]
    assert len(lines) == 2
    assert "allowed-hosts: [bfly.lab.org, evil.example]" in lines[0]
    assert "allowed-origins: [https://lab.org, https://evil.example]" in lines[1]
