"""The server as an object: documented calls, ports, changed files, internal errors."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import h5py
import httpx
import numpy as np
import pytest

import bfly
from bfly.butterfly import runtime_of
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.errors import ButterflyError

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = "/pre/exp::sam::dat/v/0/0-8_0-8_0-8"


def volume(path: Path, value: int) -> str:
    with h5py.File(path, "w") as file:
        file["main"] = np.full((8, 8, 8), value, "u1")
    return str(path)


def test_start_and_stop_as_documented(tmp_path: Path, make_tree) -> None:
    config = make_tree({"name": "v", "path": volume(tmp_path / "v.h5", 3)})
    server = bfly.Webserver(Nodb("", runtime_of(config)), config.dump())
    thread = threading.Thread(target=server.start, args=(0,))
    thread.start()
    assert server.wait()
    assert httpx.get(f"http://127.0.0.1:{server.port}{CHUNK}").content == bytes([3]) * 512
    server.stop()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{server.port}/healthz")


def test_a_port_that_is_taken(make_tree) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = bfly.Webserver(Nodb("", runtime_of(make_tree())), make_tree())
        with pytest.raises(ButterflyError, match=f"Port {port} of 127.0.0.1 cannot be had"):
            server.start(port)
    server.stop()


def test_a_changed_file_changes_the_answer_and_its_etag(tmp_path: Path, make_tree, serve) -> None:
    path = tmp_path / "v.h5"
    with serve(make_tree({"name": "v", "path": volume(path, 1)})) as client:
        first = client.get(CHUNK)
        assert (
            client.get(CHUNK, headers={"if-none-match": first.headers["etag"]}).status_code == 304
        )
        os.utime(volume(path, 2), ns=(1, 1))
        expire(client)
        second = client.get(CHUNK, headers={"if-none-match": first.headers["etag"]})
        assert (second.status_code, second.content) == (200, bytes([2]) * 512)
        os.utime(path, ns=(2, 2))
        expire(client)
        third = client.get(CHUNK)
        assert third.headers["etag"] == second.headers["etag"]


def expire(client: httpx.Client) -> None:
    """Let the time pass for which files are trusted."""
    import time

    from bfly.volumes.volume import TRUST

    time.sleep(TRUST + 0.1)


def test_an_unchanged_file_is_looked_at_and_not_read_again(
    tmp_path: Path, make_tree, serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(make_tree({"name": "v", "path": volume(tmp_path / "v.h5", 1)})) as client:
        client.get(CHUNK)
        calls: list[object] = []
        original = Core.get_buffer
        monkeypatch.setattr(
            Core, "get_buffer", lambda self, q: calls.append(q) or original(self, q)
        )
        expire(client)
        assert client.get(CHUNK).content == bytes([1]) * 512
        assert client.get(CHUNK).content == bytes([1]) * 512
        assert not calls


def test_a_mistake_in_the_program_is_500_without_its_inside(
    tmp_path: Path, make_tree, serve, monkeypatch, caplog
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the inside")

    monkeypatch.setattr(Core, "get_buffer", broken)
    with serve(make_tree({"name": "v", "path": volume(tmp_path / "v.h5", 1)})) as client:
        got = client.get(CHUNK)
        assert got.status_code == 500
        assert "inside" not in got.text
        assert "the inside" in caplog.text
        assert client.get("/healthz").status_code == 200


def test_two_settings_of_one_file_are_two_channels(tmp_path: Path, make_tree, serve) -> None:
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        file["main"] = np.arange(512, dtype="u2").reshape(8, 8, 8)
    channels = (
        {"name": "a", "path": str(path)},
        {"name": "b", "path": str(path), "voxel_offset": [0, 0, 4]},
        {"name": "c", "path": str(path), "kind": "segmentation", "voxel_size": [30, 8, 8]},
    )
    with serve(make_tree(*channels)) as client:
        infos = {n: client.get(f"/pre/exp::sam::dat/{n}/info").json() for n in "abc"}
        assert [infos[n]["type"] for n in "abc"] == ["image", "image", "segmentation"]
        assert infos["b"]["scales"][0]["voxel_offset"] == [4, 0, 0]
        assert infos["c"]["scales"][0]["resolution"] == [8, 8, 30]
        a = client.get("/pre/exp::sam::dat/a/0/0-8_0-8_0-8").content
        assert client.get("/pre/exp::sam::dat/b/0/4-12_0-8_0-8").content == a
        assert client.get("/pre/exp::sam::dat/b/0/0-8_0-8_0-8").status_code == 404
