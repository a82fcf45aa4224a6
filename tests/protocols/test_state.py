"""The JSON state server."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

import httpx
import pytest

from bfly.server.application import MOST_POSTS
from bfly.storage.viewer_states import States

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def client(serve, make_tree, tmp_path: Path) -> Iterator[httpx.Client]:
    with serve(make_tree(**{"db-path": str(tmp_path / "bfly.db")})) as client:
        yield client


def test_what_is_posted_is_had_at_the_address_that_is_answered(client, tmp_path) -> None:
    posted = client.post("/state", content=b'{"layers": ["\xc2\xb5"]}')
    assert posted.status_code == 200
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["cache-control"] == "no-store"
    address = posted.json()
    assert address.startswith(f"{client.base_url}/state/".replace("//state", "/state"))
    got = client.get(address)
    assert got.content == b'{"layers": ["\xc2\xb5"]}'
    assert got.headers["cache-control"].endswith("immutable")
    (file,) = (tmp_path / "bfly-states").iterdir()
    assert address.endswith(f"/{file.name}")


def test_a_page_from_elsewhere_may_post_where_it_is_named(serve, make_tree, tmp_path) -> None:
    page = {"origin": "https://lab.org"}
    asked = {**page, "access-control-request-method": "POST"}
    words = {"db-path": str(tmp_path / "bfly.db"), "allowed-origins": ["https://lab.org"]}
    with serve(make_tree(**words)) as client:
        got = client.options("/state", headers=asked)
        assert "POST" in got.headers["access-control-allow-methods"]
        got = client.post("/state", content=b"{}", headers=page)
        assert got.status_code == 200
        assert got.headers["access-control-allow-origin"] == "https://lab.org"


@pytest.mark.parametrize(
    "page",
    [
        {"origin": "https://elsewhere.org"},
        {"origin": "https://neuroglancer-demo.appspot.com"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
        },
    ],
)
def test_a_page_that_is_not_named_may_not_post(client, tmp_path, page) -> None:
    asked = {**page, "access-control-request-method": "POST"}
    assert client.options("/state", headers=asked).status_code == 403
    got = client.post("/state", content=b"{}", headers=page)
    assert got.status_code == 403
    assert "allowed-origins" in got.text
    assert not (tmp_path / "bfly-states").exists()


def test_bodies_are_bounded_before_they_are_kept(client) -> None:
    for content in (b"x" * (1 << 20) + b"x", (b"x" * (1 << 16) for _ in range(64))):
        got = client.post("/state", content=content)
        assert got.status_code == 413
        assert "1048576" in got.text


def test_what_is_no_state_is_refused(client) -> None:
    got = client.post("/state", content=b"[]")
    assert (got.status_code, got.text) == (400, "The state is not a JSON object.\n")


def test_a_state_that_is_not_there(client) -> None:
    assert client.get("/state/0123456789abcdef").status_code == 404
    assert client.get("/state").status_code == 404


def test_nothing_else_takes_a_post(client) -> None:
    got = client.post("/healthz", content=b"{}")
    assert got.status_code == 405
    assert got.headers["allow"] == "GET, HEAD, OPTIONS"


def test_posts_that_wait_for_the_disk_stand_in_nobodys_way(
    client, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()
    keep = States.keep

    def slow(self: States, state: bytes) -> str:
        assert disk.wait(60)
        return keep(self, state)

    monkeypatch.setattr(States, "keep", slow)
    with ThreadPoolExecutor(MOST_POSTS + 1) as pool:
        posts = [
            pool.submit(httpx.post, f"{client.base_url}/state", content=b"{}", timeout=90)
            for _ in range(MOST_POSTS + 1)
        ]
        # The first one too many is told so, and the others wait without a thread.
        assert next(as_completed(posts)).result().status_code == 503
        assert client.get("/api/experiments").status_code == 200
        assert client.get("/browse").status_code == 200
        disk.set()
        statuses = [post.result().status_code for post in posts]
    assert statuses.count(200) == MOST_POSTS
    assert statuses.count(503) == 1
