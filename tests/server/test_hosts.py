"""The check of ``Host``: the names to which a server answers."""

from __future__ import annotations

import socket
import time

import pytest

from bfly.errors import BadRequest, NotAllowed
from bfly.server.hosts import MOST_KEPT, Hosts, hostname

MINE = socket.gethostname()


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:2001", "LOCALHOST:80", "localhost.", "localhost.:2001"),
        *("a.localhost", "a.b.localhost:1", "127.0.0.1", "127.0.0.1:2001", "10.1.2.3:", "8.8.8.8"),
        *("[::1]", "[::1]:2001", "[FE80::1]:2001", "[::ffff:127.0.0.1]"),
        *(MINE, f"{MINE.upper()}:2001", f"{MINE.partition('.')[0]}.local"),
        *("bfly.lab.org", "BFLY.lab.org.:443", "lab.edu", "a.lab.edu", "a.b.lab.edu:1"),
    ],
)
def test_names_of_the_server(host: str) -> None:
    hosts = Hosts("127.0.0.1", ["bfly.lab.org", ".lab.edu"])
    for _ in range(2):
        hosts.check([host.encode()], "1.1")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:2001", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("notlocalhost", "xn--lcalhost-n4a", "2130706433", "0x7f000001", "127.1", "0177.0.0.1"),
        *("1.2.3.4.5", "256.1.1.1", "127.0.0.01", "lab.org", "a.bfly.lab.org", "bfly.lab.org.evil"),
        *("evillab.edu", "lab.edu.evil.example", "::1", "localhost..", "x.localhostt", "*"),
    ],
)
def test_names_of_others(host: str) -> None:
    hosts = Hosts("127.0.0.1", ["bfly.lab.org", ".lab.edu"])
    for _ in range(2):
        with pytest.raises((NotAllowed, BadRequest)):
            hosts.check([host.encode()], "1.1")


def test_the_message_has_the_line_to_add() -> None:
    with pytest.raises(NotAllowed, match=r"evil\.example .* allowed-hosts: \[evil\.example\]$"):
        Hosts("127.0.0.1").check([b"evil.example:2001"], "1.1")
    with pytest.raises(NotAllowed, match=r"allowed-hosts: \[a\.org, b\.org\]$"):
        Hosts("127.0.0.1", ["a.org"]).check([b"b.org"], "1.1")


@pytest.mark.parametrize(
    "sent",
    [
        *([], [b"localhost", b"localhost"], [b"localhost", b"evil.example"]),
        *([b""], [b" "], [b"me@localhost"], [b"localhost/x"], [b"localhost:x"], [b"localhost:1:2"]),
        *([b"localhost, evil.example"], [b"b\xc3\xbccher"], [b"[::1"], [b"[x]"], [b"local host"]),
        *([b"."], [b":2001"], [b"a" * 254], [b"localhost:" + b"1" * 9], [b"localhost\0"]),
        [b"[fe80::1%25eth0]"],
    ],
)
def test_what_is_no_host(sent: list[bytes]) -> None:
    with pytest.raises(BadRequest, match="Host"):
        Hosts("127.0.0.1", ["*"]).check(sent, "1.1")


def test_a_probe_may_speak_http_1_0_without_a_host() -> None:
    Hosts("127.0.0.1").check([], "1.0")
    with pytest.raises(NotAllowed):
        Hosts("127.0.0.1").check([b"evil.example"], "1.0")


def test_a_star_allows_all_names() -> None:
    Hosts("127.0.0.1", ["*"]).check([b"evil.example"], "1.1")


def test_the_configured_host_is_a_name_of_the_server() -> None:
    Hosts("Server.Lab.org").check([b"server.lab.org:2001"], "1.1")


def test_the_full_name_is_found_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow() -> str:
        time.sleep(0.5)
        return "Server.Lab.ORG"

    monkeypatch.setattr(socket, "getfqdn", slow)
    hosts = Hosts("0.0.0.0")
    with pytest.raises(NotAllowed):
        hosts.check([b"server.lab.org"], "1.1")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            hosts.check([b"server.lab.org"], "1.1")
        except NotAllowed:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the full name is not known")


def test_a_server_for_this_machine_alone_does_not_ask_for_its_full_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(socket, "getfqdn", lambda: asked.append(1) or "evil.example")
    for host in ("127.0.0.1", "localhost", "::1"):
        hosts = Hosts(host)
    time.sleep(0.1)
    assert not asked
    with pytest.raises(NotAllowed):
        hosts.check([b"evil.example"], "1.1")


def test_what_is_remembered_is_bounded() -> None:
    hosts = Hosts("127.0.0.1")
    for number in range(3 * MOST_KEPT):
        hosts.check([b"10.0.0.%d:%d" % (number % 256, number)], "1.1")
    assert len(hosts.checked) <= MOST_KEPT


def test_a_host_is_read_as_browsers_write_it() -> None:
    assert hostname("[::1]:80") == "::1"
    assert hostname("Lab.org.") == "lab.org"
    assert hostname("a b") is None
