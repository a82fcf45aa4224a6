"""Pages of other sites in a browser: what they can do to a local server."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import h5py
import httpx
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from bfly.butterfly import runtime_of
from bfly.databases.nodb import Nodb
from bfly.server.webserver import Webserver
from tests.fixtures.browser import CHROMIUM, FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from bfly.config.config import Config

NAMES = ("evil.example", "lab.example")
CHUNK = "/pre/exp/sam/dat/seg/0/0-8_0-8_0-8"
PICTURE = "/api/data?experiment=exp&sample=sam&dataset=dat&channel=seg&x=0&y=0&z=0&width=8&height=8"

TRY = """async ({server, chunk, picture}) => {
  const said = (promise) => promise.then((got) => got, (error) => `blocked: ${error}`);
  const read = (mode) => said(
    fetch(server + chunk, {mode}).then(async (got) => (await got.arrayBuffer()).byteLength));
  const body = JSON.stringify({layers: [location.origin]});
  const post = said(fetch(`${server}/state`, {method: "POST", body}).then((got) => got.status));
  const shown = new Promise((done) => {
    const image = new Image();
    image.onload = () => done(true);
    image.onerror = () => done(false);
    image.src = server + picture;
  });
  const merged = new Promise((done) => {
    const socket = new WebSocket(`${server.replace("http", "ws")}/ws/exp/sam/dat/seg`);
    socket.onopen = () =>
      socket.send(JSON.stringify({action: "save", merge: [["5", "6"]], split: []}));
    socket.onmessage = ({data}) => JSON.parse(data).merge.length && done(true);
    socket.onclose = socket.onerror = () => done(false);
  });
  return {
    read: await read("cors"), opaque: await read("no-cors"), post: await post,
    shown: await shown, merged: await merged,
  };
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser to which some names are this machine, as an attacker's DNS would have it."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (on Debian: apt-get install chromium)")
    rules = ", ".join(f"MAP {name} 127.0.0.1" for name in NAMES)
    flags = [*FLAGS, f"--host-resolver-rules={rules}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_context() as context:
        yield context.new_page()


@pytest.fixture
def config(make_tree: Callable[..., Config], tmp_path: Path) -> Config:
    """A segmentation."""
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = np.arange(512, dtype="u4").reshape(8, 8, 8)
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5")}
    return make_tree(channel, **{"db-path": str(tmp_path / "bfly.db")})


@pytest.fixture
def served(serve: Callable[..., Any], config: Config) -> Any:
    """Serve it with some settings."""
    return lambda **settings: serve(config.replace(**settings))


@contextmanager
def foreign(name: str) -> Iterator[str]:
    """Serve an empty page of another site; gives its origin."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{name}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def tried(page: Page, server: str) -> dict[str, Any]:
    """Let a page do what it can."""
    words = {"server": server, "chunk": CHUNK, "picture": PICTURE}
    found: dict[str, Any] = page.evaluate(TRY, words)
    return found


def untouched(client: httpx.Client, folder: Path) -> bool:
    """Whether nothing was merged, and no state kept."""
    labels = np.frombuffer(client.get(CHUNK).content, "u4")
    return 6 in labels and not (folder / "bfly-states").exists()


def root(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def test_a_page_of_another_site_can_do_nothing(page: Page, served: Any, tmp_path: Path) -> None:
    with served() as client, foreign("evil.example") as origin:
        page.goto(origin)
        found = tried(page, root(client))
        assert "blocked" in str(found["read"])
        # Of an opaque answer nothing is to be seen.
        assert found["opaque"] == 0 or "blocked" in str(found["opaque"])
        assert "blocked" in str(found["post"])
        assert found["shown"] is False
        assert found["merged"] is False
        assert untouched(client, tmp_path)


def test_a_page_whose_name_comes_to_be_this_machine_can_do_nothing(
    page: Page, config: Config, tmp_path: Path
) -> None:
    with foreign("evil.example") as origin:
        page.goto(origin)
    # The name leads to another server from here on: the page is still of the same origin.
    port = int(origin.rpartition(":")[2])
    server = Webserver(Nodb("", runtime_of(config)), config)
    thread = threading.Thread(target=server.start, args=(port,))
    thread.start()
    try:
        assert server.wait()
        found = tried(page, origin)
        assert found["post"] == 403
        assert found["shown"] is False
        assert found["merged"] is False
        text = page.evaluate("(path) => fetch(path).then((got) => got.text())", CHUNK)
        assert "evil.example is not known as a name of this server" in text
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            assert untouched(client, tmp_path)
    finally:
        server.stop()
        thread.join()


def test_own_pages_can_do_all(page: Page, served: Any) -> None:
    with served() as client:
        page.goto(root(client))
        found = tried(page, root(client))
        assert found == {"read": 2048, "opaque": 2048, "post": 200, "shown": True, "merged": True}
        assert 6 not in np.frombuffer(client.get(CHUNK).content, "u4")


def test_pages_of_an_allowed_site_can_do_all(page: Page, served: Any) -> None:
    with foreign("lab.example") as origin, served(allowed_origins=[origin]) as client:
        page.goto(origin)
        found = tried(page, root(client))
        assert (found["read"], found["post"]) == (2048, 200)
        assert (found["shown"], found["merged"]) == (True, True)


def test_pages_of_this_machine_can_read(page: Page, served: Any, tmp_path: Path) -> None:
    with served() as client, foreign("localhost") as origin:
        page.goto(origin)
        found = tried(page, root(client))
        assert (found["read"], found["shown"], found["merged"]) == (2048, True, False)
        assert "blocked" in str(found["post"])
        assert untouched(client, tmp_path)


def test_a_link_elsewhere_leads_to_a_page(page: Page, served: Any) -> None:
    with served() as client, foreign("evil.example") as origin:
        page.goto(origin)
        page.set_content(f'<a href="{root(client)}/">Look</a>')
        page.get_by_text("Look").click()
        page.wait_for_url(f"{root(client)}/")
        assert page.title() != ""
        assert page.locator("#found").count() == 1
