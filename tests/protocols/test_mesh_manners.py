"""Meshes of large segments: others need not wait, and nothing is made for no client."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from bfly.core import mesh_answers
from tests.fixtures.labels import served_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PRE = "/pre/e/s/d/seg"

FILE = "/api/mesh?experiment=e&sample=s&dataset=d&channel=seg&id=7"


@pytest.fixture
def client(tmp_path: Path, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    voxels = np.zeros((200, 300, 600), "u1")
    voxels[5:-5, 5:-5, 5:-5] = 7
    with served_labels(tmp_path, voxels, serve) as client:
        yield client


class Gate:
    """Stands before the making of fragments, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_open = threading.Event()
        self.begun = 0
        self._made = mesh_answers.made
        monkeypatch.setattr(mesh_answers, "made", self._wait)

    def _wait(self, *arguments: Any) -> Any:
        self.begun += 1
        assert self.is_open.wait(20)
        return self._made(*arguments)

    def await_first(self) -> None:
        for _ in range(1000):
            if self.begun:
                return
            time.sleep(0.01)
        raise AssertionError("no fragment is made")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.is_open.set()


def test_a_large_mesh_does_not_hold_up_a_chunk(client: httpx.Client, gate: Gate) -> None:
    names = client.get(f"{PRE}/mesh/7:0").json()["fragments"]
    with ThreadPoolExecutor(len(names)) as pool:
        asked = [pool.submit(client.get, f"{PRE}/mesh/{name}", timeout=60) for name in names]
        gate.await_first()
        # Of the same channel, and not in the cache.
        answer = client.get(f"{PRE}/0/0-64_0-64_0-64", timeout=10)
        assert answer.status_code == 200
        assert not any(each.done() for each in asked)
        gate.is_open.set()
        assert {each.result().status_code for each in asked} == {200}


def test_equal_requests_are_answered_from_one_fragment(client: httpx.Client, gate: Gate) -> None:
    (name, *_) = client.get(f"{PRE}/mesh/7:0").json()["fragments"]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client.get, f"{PRE}/mesh/{name}") for _ in range(8)]
        gate.await_first()
        time.sleep(0.2)
        gate.is_open.set()
        assert len({each.result().content for each in asked}) == 1
    assert gate.begun == 1
    client.get(f"{PRE}/mesh/{name}", headers={"cache-control": "no-cache"})
    assert gate.begun == 1


def test_a_file_that_no_client_waits_for_is_given_up(client: httpx.Client, gate: Gate) -> None:
    assert client.get(f"{PRE}/mesh/7:0").status_code == 200  # the index is there
    with pytest.raises(httpx.ReadTimeout):
        client.get(FILE, timeout=0.5)
    time.sleep(0.2)
    gate.is_open.set()
    time.sleep(1)
    assert gate.begun == 1


def test_the_index_is_there_before_the_first_click(client: httpx.Client, tmp_path: Path) -> None:
    assert client.get(f"{PRE}/info").json()["mesh"] == "mesh"
    for _ in range(300):
        if list(tmp_path.glob("kept/labels/*/*/about.json")):
            return
        time.sleep(0.05)
    raise AssertionError("no index is built")
