"""Limits of connections: sizes of requests, and the time that clients may take."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import h5py
import httpx
import numpy as np
import pytest

from bfly.server import descriptors
from bfly.server.connection import LARGEST_HEAD, MOST_PIPELINED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /state HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
HANDSHAKE = (
    b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


@pytest.fixture
def client(serve, make_tree, tmp_path: Path) -> Iterator[httpx.Client]:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("main", (96, 512, 1024), "u1", fillvalue=7)
    channel = {"name": "v", "path": str(tmp_path / "v.h5")}
    with serve(make_tree(channel, **{"db-path": str(tmp_path / "bfly.db")})) as client:
        yield client


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port), 60)


def heard(one: socket.socket) -> bytes:
    """Return the bytes until the server closes the connection."""
    said = b""
    with suppress(ConnectionResetError):
        while data := one.recv(1 << 16):
            said += data
    return said


def said_to(client: httpx.Client, *pieces: bytes) -> bytes:
    with connected(client) as one:
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                one.sendall(piece)
        return heard(one)


# Heads


@pytest.mark.parametrize(
    "head",
    [
        GET + b"A: " + b"x" * LARGEST_HEAD + b"\r\n\r\n",
        GET + b"A: b\r\n" * (LARGEST_HEAD // 6) + b"\r\n",
        GET.replace(b"/healthz", b"/" + b"x" * LARGEST_HEAD) + b"\r\n",
        GET + b"x" * LARGEST_HEAD + b": y\r\n\r\n",
        GET + b"A: " + b"x" * LARGEST_HEAD,
    ],
    ids=["one", "many", "path", "name", "endless"],
)
def test_a_head_is_bounded(client, head: bytes) -> None:
    answer = said_to(client, head)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert str(LARGEST_HEAD).encode() in answer
    # It came in small pieces.
    assert said_to(client, *(head[i : i + 999] for i in range(0, len(head), 999))) == answer


def test_a_head_of_almost_the_limit_is_answered(client) -> None:
    head = GET + b"Connection: close\r\nA: " + b"x" * (LARGEST_HEAD - 200) + b"\r\n\r\n"
    assert said_to(client, head).startswith(b"HTTP/1.1 200 ")


def test_a_body_or_the_requests_before_do_not_count_as_a_head(client) -> None:
    state = b'{"a": "' + b"x" * 500_000 + b'"}'
    post = b"POST /state HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(state)
    end = GET + b"Connection: close\r\n\r\n"
    assert said_to(client, (post + state) * 2 + end).count(b"HTTP/1.1 200 ") == 3
    padded = GET + b"A: " + b"x" * 4000 + b"\r\n\r\n"
    with connected(client) as one:
        for _ in range(50):
            one.sendall(padded)
            assert one.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_the_memory_that_endless_heads_take_is_bounded(process, make_tree) -> None:
    with process(make_tree()) as client:
        client.get("/healthz")
        before = memory(client)
        for _ in range(4):
            with connected(client) as one, suppress(BrokenPipeError, ConnectionResetError):
                one.sendall(GET + b"User-Agent: ")
                for _ in range(100):
                    one.sendall(b"x" * (1 << 20))
        for number in range(200):
            agent = f"{number} ".ljust(60_000, "x")
            client.get("/healthz", headers={"user-agent": agent})
            client.get("/healthz", headers={"accept-encoding": agent})
            client.get(f"/healthz?{agent[:50_000]}".replace(" ", ""))
        assert memory(client) - before < 24 << 20


def test_requests_ahead_of_the_answers_are_bounded(client) -> None:
    many = said_to(client, (GET + b"\r\n") * 20 + GET + b"Connection: close\r\n\r\n")
    assert many.count(b"HTTP/1.1 200 ") == 21
    most = said_to(client, (GET + b"\r\n") * 5000)
    assert most.count(b"HTTP/1.1 200 ") <= MOST_PIPELINED + 2


# Times


def test_silent_and_slow_heads_are_ended(client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bfly.server.serving.HEAD_TIME", 1.0)
    assert said_to(client) == b""
    assert said_to(client, GET).startswith(b"HTTP/1.1 408 ")
    with connected(client) as one:
        begun = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - begun < 60:
                one.sendall(b"G")
                time.sleep(0.1)
        assert time.monotonic() - begun < 30
    with connected(client) as one:
        one.sendall(GET + b"\r\n")
        assert one.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert heard(one) == b""


def test_a_body_that_stops_is_ended(client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bfly.server.serving.BODY_TIME", 1.0)
    assert said_to(client, POST + b"x").startswith(b"HTTP/1.1 408 ")
    slow = GET + b"Content-Length: 1000\r\n\r\n"
    with connected(client) as one:
        begun = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            one.sendall(slow)
            while time.monotonic() - begun < 60:
                one.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - begun < 30
    assert client.post("/state", content=b"{}").status_code == 200


def test_time_that_an_answer_takes_is_not_the_clients(
    client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bfly.core.core import Core

    monkeypatch.setattr("bfly.server.serving.HEAD_TIME", 0.5)
    monkeypatch.setattr("bfly.server.serving.BODY_TIME", 0.5)
    get_buffer = Core.get_buffer

    def slow(self, query):
        time.sleep(3)
        return get_buffer(self, query)

    monkeypatch.setattr(Core, "get_buffer", slow)
    got = client.get("/pre/exp::sam::dat/v/0/0-64_0-64_0-64")
    assert (got.status_code, got.content) == (200, b"\7" * 64**3)


WHOLE = "/api/data?experiment=exp&sample=sam&dataset=dat&channel=v&x=0&y=0&z=0&format={}"
LARGE = f"{WHOLE}&width=1024&height=512&depth=32"
STREAM = f"{WHOLE}&width=1024&height=512&depth=80"


@pytest.mark.parametrize("address", [LARGE.format("tif"), STREAM.format("raw")])
def test_a_client_that_takes_nothing_is_cut_off(
    client, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr("bfly.server.serving.SEND_TIME", 2.0)
    with connected(client) as one, connected(client) as slow:
        for each in (one, slow):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            each.sendall(f"GET {address} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        taken, begun = 0, time.monotonic()
        # The other one takes what it gets, if slowly.
        while time.monotonic() - begun < 8:
            taken += len(slow.recv(1 << 17))
            time.sleep(0.05)
        assert taken > 1 << 20
        slow.settimeout(60)
        assert len(slow.recv(1 << 17)) > 0
        assert len(heard(one)) < 16 << 20


def test_stalled_clients_hold_no_memory(make_tree, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("main", (96, 512, 1024), "u1", fillvalue=7)
    patched = f"""
import bfly.server.serving
bfly.server.serving.SEND_TIME = 3.0
from bfly.cli import main
main({["-e", str(tmp_path / "bfly.yaml"), "0"]!r})
"""
    channel = {"name": "v", "path": str(tmp_path / "v.h5")}
    make_tree(channel, **{"max-cache-size": 16}).save(str(tmp_path / "bfly.yaml"))
    with launched(patched, tmp_path) as client, ExitStack() as stack:
        # Blocks of 48 MiB are given back to the system at once; what is left is less than three.
        address = WHOLE.format("tif") + "&width=1024&height=512&depth=96"
        client.get(address)
        before = memory(client)
        stalled = []
        for number in range(6):
            one = stack.enter_context(connected(client))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            address = f"{address}&q={number}"
            one.sendall(f"GET {address} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert one.recv(12) == b"HTTP/1.1 200"
            stalled.append(one)
        deadline = time.monotonic() + 60
        while memory(client) - before > 144 << 20 and time.monotonic() < deadline:
            time.sleep(0.5)
        assert memory(client) - before < 144 << 20
        # The last one may take nothing for three seconds before it is cut.
        time.sleep(8)
        assert all(len(heard(one)) < 48 << 20 for one in stalled)


# Numbers


def test_silent_connections_do_not_keep_others_out(make_tree, tmp_path: Path) -> None:
    make_tree().save(str(tmp_path / "bfly.yaml"))
    few = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from bfly.cli import main
main({["-e", str(tmp_path / "bfly.yaml"), "0"]!r})
"""
    with launched(few, tmp_path) as client, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connected(client))
        begun = time.monotonic()
        for _ in range(20):
            with httpx.Client(base_url=client.base_url, timeout=30) as other:
                assert other.get("/healthz").status_code == 200
        # Silent ones are closed after 10 s in any case.
        assert time.monotonic() - begun < 8
        logged = (tmp_path / "bfly.log").read_text()
        assert logged.count("as many as the limit of open files (ulimit -n) allows") == 1
        assert "Traceback" not in logged


def test_where_all_connections_are_in_use_a_new_one_is_503(
    serve, make_tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.server.serving.most_connections", lambda: 4)
    with serve(make_tree()) as client, ExitStack() as stack:
        busy = []
        for _ in range(4):
            one = stack.enter_context(connected(client))
            one.sendall(GET + b"Content-Length: 9\r\n\r\n")
            assert one.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            busy.append(one)
        answer = said_to(client, GET + b"\r\n")
        assert answer == b"" or answer.startswith(b"HTTP/1.1 503 ")
        with connected(client) as one:
            answer = heard(one)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 2\r\n" in answer
        busy[0].close()
        deadline = time.monotonic() + 30
        while not said_to(client, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 "):
            assert time.monotonic() < deadline


def test_an_idle_connection_makes_room_for_a_new_one(
    serve, make_tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.server.serving.most_connections", lambda: 4)
    monkeypatch.setattr("bfly.server.serving.HEAD_TIME", 600.0)
    monkeypatch.setattr(
        "bfly.server.connection.Connection.timeout_keep_alive_handler", lambda _: None
    )
    with serve(make_tree()) as client, ExitStack() as stack:
        kept = [stack.enter_context(connected(client)) for _ in range(4)]
        for one in kept:
            one.sendall(GET + b"\r\n")
            assert one.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        # The server sees that they are idle within a second.
        deadline = time.monotonic() + 30
        while not said_to(client, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 "):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_number_follows_the_limit_of_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, most in ((256, 85), (1024, 341), (10**6, descriptors.MOST), (-1, descriptors.MOST)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert descriptors.most_connections() == most


def test_the_limit_of_open_files_is_raised_where_that_is_allowed() -> None:
    code = """
import resource
from bfly.server.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2048))
raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(2048, 2048)\n"


# Websockets


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        (b"/ws/" + b"x" * 9000, b"", b"414"),
        (b"/ws/exp::sam::dat/v", b"A: " + b"x" * 9000 + b"\r\n", b"431"),
        (b"/ws/exp::sam::dat/v", b"A: b\r\n" * 200, b"431"),
        (b"/ws/" + b"x" * LARGEST_HEAD, b"", b"431"),
        (b"/ws/exp::sam::dat/none", b"A: \xff\xfe\r\n", b"400"),
        (b"/ws/" + b"x" * 4000, b"", b"404"),
    ],
)
def test_a_handshake_that_does_not_get_through_is_answered(
    client, path: bytes, more: bytes, status: bytes
) -> None:
    answer = said_to(client, b"GET " + path + b" HTTP/1.1\r\n" + HANDSHAKE + more + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)


def test_a_long_path_of_a_websocket_makes_a_short_line(
    client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "bfly")
    said_to(client, b"GET /ws/" + b"x" * 7000 + b" HTTP/1.1\r\n" + HANDSHAKE + b"\r\n")
    assert "is refused" in caplog.text
    assert max(len(record.getMessage()) for record in caplog.records) < 600


def test_the_number_of_websockets_is_bounded(
    serve, make_tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.server.websocket.most_connections", lambda: 8)
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = np.ones((8, 8, 8), "u4")
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5")}
    hello = b"GET /ws/exp::sam::dat/seg HTTP/1.1\r\n" + HANDSHAKE + b"\r\n"
    with serve(make_tree(channel)) as client, ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(connected(client))
            one.sendall(hello)
            assert one.recv(12) == b"HTTP/1.1 101"
        assert said_to(client, hello).startswith(b"HTTP/1.1 503 ")
        assert client.get("/healthz").status_code == 200


def test_pings_of_a_client_that_takes_nothing_are_not_answered_for_ever(
    serve, make_tree, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = np.ones((8, 8, 8), "u4")
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5")}
    with serve(make_tree(channel)) as client, connected(client) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(b"GET /ws/exp::sam::dat/seg HTTP/1.1\r\n" + HANDSHAKE + b"\r\n")
        ping = b"\x89\xfd" + b"\0" * 4 + b"x" * 125
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            one.sendall(ping * 400_000)


def memory(client: httpx.Client) -> int:
    """Return the resident bytes of the process that serves."""
    text = client.get("/metrics").text
    line = next(line for line in text.splitlines() if line.startswith("process_resident_memory"))
    return int(float(line.split()[1]))


@contextmanager
def launched(code: str, folder: Path) -> Iterator[httpx.Client]:
    """Run Python code that serves, in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    line = next(line for line in process.stderr if "http://" in line)
    # Without a reader of its stderr, a program that logs much blocks.
    reader = threading.Thread(target=process.stderr.read)
    reader.start()
    try:
        url = next(word for word in line.split() if word.startswith("http://"))
        with httpx.Client(base_url=url, timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.wait(20)
        reader.join()
        process.stderr.close()
