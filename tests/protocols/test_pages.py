"""The pages as files: media types, policies, caching, and only files of the build."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

from bfly.protocols.pages import WEB

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

ASSETS = sorted(file.name for file in (WEB / "assets").iterdir())
PAGES = ["/", "/ng/", "/neuron", "/sections"]


@pytest.fixture(scope="module")
def client(serve, make_tree) -> Iterator[httpx.Client]:
    with serve(make_tree()) as client:
        yield client


@pytest.mark.parametrize("address", PAGES)
def test_a_page_has_a_policy_and_is_asked_for_again(client, address) -> None:
    got = client.get(address)
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    policy = got.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe-inline" not in policy
    assert ("unsafe-eval" in policy) == (address == "/ng/")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] == "no-cache"
    again = client.get(address, headers={"if-none-match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("address", PAGES)
def test_what_a_page_is_made_of_is_there_and_nothing_is_from_elsewhere(client, address) -> None:
    named = re.findall(r'(?:src|href)="([^"]+)"', client.get(address).text)
    assert named
    for name in named:
        assert "//" not in name
        assert client.get(urljoin(address, name)).status_code == 200


def test_assets_are_kept_forever_and_have_their_types(client) -> None:
    types = {
        "css": "text/css; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
        "wasm": "application/wasm",
    }
    assert {name.rpartition(".")[2] for name in ASSETS} <= set(types)
    for name in ASSETS:
        got = client.get(f"/assets/{name}")
        assert got.content == (WEB / "assets" / name).read_bytes()
        assert got.headers["content-type"] == types[name.rpartition(".")[2]]
        assert got.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in got.headers["content-security-policy"]


def test_large_assets_are_packed(client) -> None:
    largest = max(ASSETS, key=lambda name: (WEB / "assets" / name).stat().st_size)
    with client.stream("GET", f"/assets/{largest}", headers={"accept-encoding": "gzip"}) as got:
        packed = b"".join(got.iter_raw())
    assert got.headers["content-encoding"] == "gzip"
    whole = (WEB / "assets" / largest).read_bytes()
    assert gzip.decompress(packed) == whole
    assert len(packed) < len(whole) / 2


@pytest.mark.parametrize(
    "path", ["", "nothing.js", "%2e%2e/ng/index.html", "%2e%2e/__init__.py", "/etc/passwd", "a/b"]
)
def test_nothing_else_is_below_assets(client, path) -> None:
    assert client.get(f"/assets/{path}").status_code == 404


def test_nothing_is_below_a_page(client) -> None:
    for path in ("ng/index.htm", "ng/index.html/", "ng/ng/index.html", "index.html/index.html"):
        assert client.get(f"/{path}").status_code == 404


@pytest.mark.parametrize("address", ["/", "/ng/"])
@pytest.mark.parametrize(
    "asked", ["", "?channel=e::s::d/a&channel=e::s::d/b%20b", "?q=%0d%0aA:%20b"]
)
def test_the_file_of_a_page_leads_to_the_page(client, address, asked) -> None:
    got = client.get(f"{address}index.html{asked}")
    assert (got.status_code, got.headers["location"]) == (302, f"./{asked}")
    followed = client.get(f"{address}index.html{asked}", follow_redirects=True)
    assert followed.url.raw_path.decode() == f"{address}{asked}"
    assert followed.content == client.get(address).content


AT = "e%3A%3As%3A%3Ad%2F"


@pytest.mark.parametrize(
    ("layers", "shown"),
    [
        ("channel=0em,1seg,0other&z=7", f"channel={AT}em&over={AT}seg&z=7"),
        ("channel=0dojo,0a%20b&depth=9", f"channel={AT}a+b&over="),
        ("channel=1seg", f"channel={AT}seg&over="),
        ("channel=0%0d%0aA:b", f"channel={AT}%0D%0AA%3Ab&over="),
        ("channel=em", ""),
        ("", ""),
    ],
)
def test_a_bookmark_of_the_first_viewer_leads_to_the_sections(client, layers, shown) -> None:
    got = client.get(f"/viz.html?experiment=e&sample=s&dataset=d&{layers}")
    assert (got.status_code, got.headers["location"]) == (302, f"sections?{shown}".rstrip("?"))
    assert client.get("/viz.html/a").status_code == 404


def test_a_page_that_is_not_built_says_how_to(client, make_tree, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("bfly.protocols.pages.WEB", tmp_path)
    got = client.get("/ng/?unbuilt")
    assert got.status_code == 503
    assert "'pip install .' in a checkout builds it" in got.text


def test_browsers_find_an_icon_beside_any_answer(client) -> None:
    got = client.get("/favicon.ico")
    assert got.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in got.content
    assert client.get("/favicon.ico/more").status_code == 404
