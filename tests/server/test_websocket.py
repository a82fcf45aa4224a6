"""Edits over websockets, by a real client from a real server."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import h5py
import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bfly.butterfly import runtime_of
from bfly.databases.sqlite import Sqlite
from bfly.server.webserver import Webserver
from bfly.server.websocket import MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bfly.config.config import Config

EMPTY = {"action": "restore", "merge": [], "split": [], "error": ""}
ACK = {"action": "save"}
"""What the client that saved is sent in place of EMPTY's action."""

SPLIT = "5:1:0:9:0:9:0:9"


@pytest.fixture
def config(tmp_path: Path, make_tree: Callable[..., Config]) -> Config:
    """Two label channels and an image."""
    voxels = np.random.default_rng(0).integers(0, 12, (8, 64, 64))
    for name, dtype in (("seg", "u8"), ("other", "u4"), ("em", "u1")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["main"] = voxels.astype(dtype)
    channels = [{"name": n, "path": str(tmp_path / f"{n}.h5")} for n in ("seg", "other", "em")]
    return make_tree(*channels)


@contextmanager
def served(config: Config, file: Path) -> Iterator[Webserver]:
    """Serve with a database in a file."""
    server = Webserver(Sqlite(str(file), runtime_of(config)), config)
    thread = threading.Thread(target=server.start, args=(0,), daemon=True)
    thread.start()
    assert server.wait()
    yield server
    server.stop()
    thread.join(15)
    assert not thread.is_alive()


@pytest.fixture
def server(config: Config, tmp_path: Path) -> Iterator[Webserver]:
    with served(config, tmp_path / "bfly.db") as server:
        yield server


def client(server: Webserver, channel: str = "seg", **words: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.port}/ws/exp::sam::dat/{channel}", **words)


def hear(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(timeout=20))


def say(socket: ClientConnection, **message: Any) -> None:
    socket.send(json.dumps(message))


def labels(server: Webserver, channel: str = "seg") -> set[int]:
    at = f"http://127.0.0.1:{server.port}/pre/exp::sam::dat/{channel}/0/0-64_0-64_0-8"
    dtype = "u8" if channel == "seg" else "u4"
    return set(np.frombuffer(httpx.get(at).content, dtype).tolist())


def test_a_documented_session(config: Config, tmp_path: Path) -> None:
    with served(config, tmp_path / "bfly.db") as server:  # noqa: SIM117
        with client(server) as one, client(server) as two, client(server, "other") as other:
            assert hear(one) == hear(two) == hear(other) == EMPTY
            say(one, action="save", merge=[["3", "4"]], split=[SPLIT])
            saved = {**EMPTY, "merge": [["3", "4"]], "split": [SPLIT]}
            assert hear(one) == {**saved, **ACK}
            assert hear(two) == saved
            assert labels(server) == {*range(12)} - {4}
            say(two, action="save", merge=[["9", "4"], ["1", "2"]], split=[])
            saved["merge"] = [["1", "2"], ["9", "3", "4"]]
            assert hear(one) == saved
            assert hear(two) == {**saved, **ACK}
            assert labels(server) == {*range(12)} - {2, 3, 4}
            # Those of another channel hear nothing of it: the next that they hear is an answer.
            say(other, action="restore")
            assert hear(other) == EMPTY
            assert labels(server, "other") == {*range(12)}
    with served(config, tmp_path / "bfly.db") as server, client(server) as three:
        assert hear(three) == saved
        assert labels(server) == {*range(12)} - {2, 3, 4}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("{", "The message is not JSON"),
        ("", "The message is not JSON"),
        ("[" * 100_000, "The message is not JSON"),
        ("[]", "The message is not a JSON object."),
        ('{"merge": [["1", "2"]]}', "The action None is not in ['restore', 'save']."),
        ('{"action": "drop"}', "The action drop is not in ['restore', 'save']."),
        ('{"action": ["save"]}', "The action ['save'] is not in"),
        ('{"action": "save", "merge": [["1", "b"]]}', "The id b is not an integer."),
        ('{"action": "save", "merge": [["1", "99"]]}', "There is no segment or supervoxel 99."),
        ('{"action": "save", "merge": 1}', "The merge is not a list of lists of ids."),
        ('{"action": "save", "split": ["1:2"]}', "The split 1:2 is not id:region"),
        (b"\xff\x00", "The message is not JSON"),
        ("x" * (MOST + 1), f"The message is longer than {MOST} bytes."),
    ],
    ids=range(13),
)
def test_what_is_wrong_is_answered_and_the_session_goes_on(
    server: Webserver, message: str | bytes, said: str
) -> None:
    with client(server) as one, client(server) as two:
        assert hear(one) == hear(two) == EMPTY
        one.send(message)
        answer = hear(one)
        assert said in answer["error"]
        assert {**answer, "error": ""} == EMPTY
        say(one, action="save", merge=[["1", "2"]])
        assert hear(one) == {**EMPTY, **ACK, "merge": [["1", "2"]]}
        assert hear(two) == {**EMPTY, "merge": [["1", "2"]]}


def test_what_changes_nothing_is_answered_to_who_asked_alone(server: Webserver) -> None:
    with client(server) as one, client(server) as two:
        hear(one), hear(two)
        say(one, action="save", merge=[["1", "2"]])
        saved = hear(one)
        assert hear(two) == {**saved, "action": "restore"}
        for message in ({"merge": [["1", "2"]]}, {}, {"merge": [], "split": []}):
            say(one, action="save", **message)
            assert hear(one) == saved
        say(two, action="save", merge=[["3", "4"]])
        assert hear(one) == {**EMPTY, "merge": [["1", "2"], ["3", "4"]]}
        assert hear(two) == {**EMPTY, **ACK, "merge": [["1", "2"], ["3", "4"]]}
        say(one, action="restore")
        assert hear(one) == {**EMPTY, "merge": [["1", "2"], ["3", "4"]]}


def test_many_at_once_hear_their_own_answers(server: Webserver) -> None:
    """The state that each is sent for another's edit does not take the place of its own answer."""
    with ExitStack() as stack:
        clients = [stack.enter_context(client(server)) for _ in range(5)]
        for one in clients:
            assert hear(one) == EMPTY
        for number, one in enumerate(clients):
            say(one, action="save", merge=[[f"{2 * number + 1}", f"{2 * number + 2}"]])
        for number, one in enumerate(clients):
            mine, heard = [f"{2 * number + 1}", f"{2 * number + 2}"], []
            while not heard or len(heard[-1]["merge"]) < 5:
                heard.append(hear(one))
            (answer,) = (message for message in heard if message["action"] == "save")
            assert mine in answer["merge"]


def test_an_image_has_an_empty_state(server: Webserver) -> None:
    with client(server, "em") as one, client(server, "em") as two:
        assert hear(one) == hear(two) == EMPTY
        say(one, action="save", merge=[["1", "2"]])
        answer = hear(one)
        assert "only a segmentation has edits" in answer.pop("error")
        assert {**answer, "error": ""} == EMPTY
        say(two, action="restore")
        assert hear(two) == EMPTY


def test_a_region_of_a_split_is_taken_for_its_id(server: Webserver) -> None:
    with client(server) as one:
        hear(one)
        say(one, action="save", merge=[["3:1", "4", "4:2"]], split=[SPLIT])
        assert hear(one) == {**EMPTY, **ACK, "merge": [["3", "4"]], "split": [SPLIT]}


def test_a_message_far_too_long_ends_the_session_of_its_sender_alone(server: Webserver) -> None:
    with client(server) as one, client(server) as two:
        hear(one), hear(two)
        with suppress(ConnectionClosed):
            one.send("x" * (17 << 20))
        with pytest.raises(ConnectionClosed) as closed:
            hear(one)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
        say(two, action="save", merge=[["1", "2"]])
        assert hear(two)["merge"] == [["1", "2"]]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/ws/exp::sam::dat/none", 400, "The channel none is not in"),
        ("/ws/exp::sam/seg", 404, "exp::sam is not experiment::sample::dataset."),
        ("/ws/exp::sam::dat/seg/more", 404, "There is nothing below seg"),
        ("/pre/exp::sam::dat/seg", 404, "There is no websocket at"),
    ],
)
def test_what_is_no_channel_of_labels(server: Webserver, path: str, status: int, said: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{server.port}{path}"):
        pass
    assert refused.value.response.status_code == status
    assert said in refused.value.response.body.decode()


@pytest.mark.parametrize(
    ("allowed", "origin", "welcome"),
    [
        ([], "http://127.0.0.1:{port}", True),
        ([], "https://elsewhere.org", False),
        ([], "null", False),
        ([], "http://127.0.0.1:1", False),
        (["https://elsewhere.org"], "https://elsewhere.org", True),
        (["https://elsewhere.org"], "https://elsewhere.org.evil.com", False),
        # All pages of the web may read then, but not edit.
        (["*"], "https://elsewhere.org", False),
        (["*", "https://elsewhere.org"], "https://elsewhere.org", True),
        ([], "https://neuroglancer-demo.appspot.com", False),
        ([], "http://localhost:8080", False),
    ],
)
def test_pages_of_which_origins_may_edit(
    config: Config, tmp_path: Path, allowed: list[str], origin: str, welcome: bool
) -> None:
    with served(config.replace(allowed_origins=allowed), tmp_path / "bfly.db") as server:
        origin = origin.format(port=server.port)
        if welcome:
            with client(server, origin=origin) as one:
                assert hear(one) == EMPTY
        else:
            with pytest.raises(InvalidStatus) as refused, client(server, origin=origin):
                pass
            assert refused.value.response.status_code == 403
            assert f"The origin {origin} is not in allowed-origins" in str(
                refused.value.response.body
            )


@contextmanager
def deaf(server: Webserver) -> Iterator[socket.socket]:
    """Connect, and never answer."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", server.port))
        head = [
            "GET /ws/exp::sam::dat/seg HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ]
        one.sendall("\r\n".join([*head, "", ""]).encode())
        yield one


def test_who_takes_nothing_is_dropped_and_nobody_waits(
    server: Webserver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bfly.server.rooms.PATIENCE", 0.5)
    far = 10**15
    with deaf(server), client(server, max_size=None) as quick:
        hear(quick)
        for number in range(300):
            many = [f"5:{far + 1000 * number + i}:0:{far}:0:{far}:0:{far}" for i in range(1000)]
            say(quick, action="save", split=many)
            assert len(hear(quick)["split"]) == 1000 * (number + 1)
            if "it takes nothing for 0.5 s" in caplog.text:
                break
        else:
            pytest.fail("whoever takes nothing is still there")
        say(quick, action="save", merge=[["1", "2"]])
        assert hear(quick)["merge"] == [["1", "2"]]


def test_who_answers_no_ping_is_dropped(server: Webserver) -> None:
    settings = server._server.config
    assert settings.ws_ping_interval
    assert settings.ws_ping_timeout
    settings.ws_ping_interval = settings.ws_ping_timeout = 0.1
    with deaf(server) as one:
        one.settimeout(20)
        said = b"".join(iter(lambda: one.recv(4096), b""))
    # The first byte of a ping, and of a close (RFC 6455, 5.2).
    assert b"\x89" in said
    assert said.index(b"\x89") < said.rindex(b"\x88")


def test_the_server_says_good_bye(config: Config, tmp_path: Path) -> None:
    with ExitStack() as stack:
        with served(config, tmp_path / "bfly.db") as server:
            one = stack.enter_context(client(server))
            hear(one)
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(timeout=10)
        assert closed.value.rcvd.code == 1012


def test_a_client_of_another_process_hears_of_it(config: Config, tmp_path: Path) -> None:
    with (
        served(config, tmp_path / "bfly.db") as first,
        served(config, tmp_path / "bfly.db") as second,
        client(first) as one,
        client(second) as two,
    ):
        assert hear(one) == hear(two) == EMPTY
        say(one, action="save", merge=[["3", "4"]])
        assert hear(one) == {**EMPTY, **ACK, "merge": [["3", "4"]]}
        assert hear(two) == {**EMPTY, "merge": [["3", "4"]]}
        assert labels(second) == {*range(12)} - {4}
