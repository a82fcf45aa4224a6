"""The check of ``Origin``: the pages that may read, and those that may write."""

from __future__ import annotations

import pytest

from bfly.errors import NotAllowed
from bfly.server.origins import MOST_KEPT, NEUROGLANCERS, Origins

HOST = "bfly.lab.org:2001"
ORIGIN = b"access-control-allow-origin"


def headers(**words: str) -> dict[bytes, bytes]:
    return {name.replace("_", "-").encode(): value.encode() for name, value in words.items()}


def shown(origins: Origins, origin: str) -> bytes:
    """Which origin a page that reads is told to be allowed."""
    return dict(origins.check(headers(origin=origin), HOST, writes=False))[ORIGIN]


def is_refused(origins: Origins, writes: bool, **words: str) -> bool:
    try:
        origins.check(headers(**words), HOST, writes)
    except NotAllowed:
        return True
    return False


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize(
    "words",
    [
        {},
        {"referer": "https://elsewhere.org/"},
        {"origin": f"http://{HOST}"},
        {"origin": f"https://{HOST}"},
        {"origin": "HTTP://BFLY.lab.org:2001"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none", "sec_fetch_mode": "navigate"},
        # A proxy that asks under another name.
        {"sec_fetch_site": "same-origin", "origin": "https://proxy.lab.org"},
    ],
)
def test_programs_and_own_pages_may_do_all(words: dict[str, str], writes: bool) -> None:
    assert Origins().check(headers(**words), HOST, writes) == ()


def test_the_port_that_a_scheme_implies_need_not_be_said() -> None:
    for host, origin in (("lab.org", "http://lab.org:80"), ("lab.org:443", "https://lab.org")):
        assert Origins().check(headers(origin=origin), host, writes=True) == ()
    for host, origin in (("lab.org", "http://lab.org:443"), ("lab.org:8080", "http://lab.org")):
        with pytest.raises(NotAllowed):
            Origins().check(headers(origin=origin), host, writes=False)


LOOPBACK = [
    *("http://localhost:8080", "http://127.0.0.1:9999", "https://localhost", "http://[::1]:3000"),
    *("http://ng.localhost:5173", "http://127.1.2.3"),
]


@pytest.mark.parametrize("origin", [*NEUROGLANCERS, *LOOPBACK])
def test_neuroglancers_and_pages_of_the_same_machine_may_read_and_not_write(origin: str) -> None:
    assert shown(Origins(), origin) == origin.encode()
    assert is_refused(Origins(), writes=True, origin=origin)


FOREIGN = [
    *(
        "https://elsewhere.org",
        "http://bfly.lab.org",
        "http://bfly.lab.org:2002",
        "null",
        "file://",
    ),
    *("http://neuroglancer-demo.appspot.com", "https://neuroglancer-demo.appspot.com.evil.example"),
    *("https://neuroglancer-demo.appspot.com:444", "http://localhost.evil.example", "http://127.1"),
    *(
        "http://localhost:2001@evil.example",
        "http://127.0.0.1.evil.example",
        "http://evil-localhost",
    ),
    *(
        "chrome-extension://abc",
        "",
        "http://",
        "//bfly.lab.org:2001",
        HOST,
        "ftp://bfly.lab.org:2001",
    ),
]


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_from_elsewhere_may_do_nothing(origin: str, writes: bool) -> None:
    assert is_refused(Origins(), writes, origin=origin)
    assert is_refused(Origins(["https://lab.org"]), writes, origin=origin)


def test_named_pages_may_do_all() -> None:
    origins = Origins(["https://elsewhere.org"])
    assert shown(origins, "https://elsewhere.org") == b"https://elsewhere.org"
    page = headers(origin="https://elsewhere.org", sec_fetch_site="cross-site")
    assert dict(origins.check(page, HOST, writes=True))[ORIGIN] == b"https://elsewhere.org"


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_star_lets_all_pages_read_and_none_write(origin: str) -> None:
    assert shown(Origins(["*"]), origin) == b"*"
    assert is_refused(Origins(["*"]), writes=True, origin=origin)
    assert is_refused(Origins(["*"]), writes=True, sec_fetch_site="cross-site")


VISIT = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
PICTURE = {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}
FRAME = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_may_lead_here_and_a_picture_or_frame_may_not(site: str) -> None:
    origins = Origins(["https://lab.org"])
    assert not is_refused(origins, False, sec_fetch_site=site, **VISIT)
    assert is_refused(origins, True, sec_fetch_site=site, **VISIT)
    for words in (PICTURE, FRAME):
        for page in ({}, {"referer": "https://elsewhere.org/"}, {"referer": "x"}):
            assert is_refused(origins, False, sec_fetch_site=site, **words, **page)


def test_a_picture_on_a_page_that_may_read() -> None:
    origins = Origins(["https://lab.org"])
    for page in ("https://lab.org/wiki?x=https://evil.example/", "http://localhost:8888/lab"):
        words = {"sec_fetch_site": "cross-site", "referer": page, **PICTURE}
        assert not is_refused(origins, False, **words)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "rubbish"])
def test_a_page_that_hides_where_it_is_may_not_write(site: str) -> None:
    with pytest.raises(NotAllowed, match="A page that hides its origin"):
        Origins(["https://lab.org"]).check(headers(sec_fetch_site=site), HOST, writes=True)


def test_the_message_has_the_line_to_add() -> None:
    page = headers(origin="https://elsewhere.org")
    with pytest.raises(NotAllowed, match=r"add .*: allowed-origins: \[https://elsewhere\.org\]$"):
        Origins().check(page, HOST, writes=False)
    with pytest.raises(NotAllowed, match=r"edit .*\[\"\*\", https://elsewhere\.org\]$"):
        Origins(["*"]).check(page, HOST, writes=True)
    with pytest.raises(NotAllowed, match="and cannot be added"):
        Origins().check(headers(origin="null"), HOST, writes=False)


def test_what_is_remembered_is_bounded() -> None:
    origins = Origins()
    for port in range(1, 3 * MOST_KEPT):
        shown(origins, f"http://localhost:{port}")
    assert len(origins._kept) <= MOST_KEPT
