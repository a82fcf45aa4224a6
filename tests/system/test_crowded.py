"""Load on one channel, or from one client, does not slow down others."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py
import httpx
import numpy as np
import pytest

from bfly.sources.hdf5.source import HDF5

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AT = "experiment=exp&sample=sam&dataset=dat"
SIDE = 64


@pytest.fixture
def tree(tmp_path: Path, make_tree):
    """Six channels, of which the names begin with what a test does to them."""
    channels = []
    for name in ("hung-0", "hung-1", "hung-2", "labels", "em", "tiny"):
        path = tmp_path / f"{name}.h5"
        dtype = "u8" if name == "labels" else "u1"
        shape = (4, 32, 32) if name == "tiny" else (SIDE, SIDE, SIDE)
        voxels = np.random.default_rng(0).integers(1, 9, shape).astype(dtype)
        with h5py.File(path, "w") as file:
            file.create_dataset("main", data=voxels, chunks=(4, 32, 32), compression="gzip")
        # Stated, since voxels are read for a kind that is not.
        kind = "segmentation" if name == "labels" else "image"
        channels.append({"name": name, "path": str(path), "kind": kind})
    return make_tree(*channels)


class Disk:
    """A disk that hangs for the channels that are called so, until it is mended."""

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.mended = threading.Event()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk, read = Disk(), HDF5.read

    def hanging(self: HDF5, mip, box):
        disk.reads.append(self.path)
        if "hung" in self.path:
            assert disk.mended.wait(300)
        return read(self, mip, box)

    monkeypatch.setattr(HDF5, "read", hanging)
    yield disk
    disk.mended.set()


def cutout(channel: str, z: int = 0, **more: object) -> str:
    words = {"x": 0, "y": 0, "z": z, "width": 32, "height": 32, "format": "raw"} | more
    rest = "&".join(f"{name}={value}" for name, value in words.items())
    return f"/api/data?{AT}&channel={channel}&{rest}"


@contextmanager
def asking(client: httpx.Client, *urls: str) -> Iterator[list[httpx.Response]]:
    """Ask for addresses at once, each over a connection of its own, and do not wait."""
    answers: list[httpx.Response] = []

    def ask(url: str) -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            answers.append(own.get(url))

    threads = [threading.Thread(target=ask, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    yield answers
    for thread in threads:
        thread.join(60)
    assert len(answers) == len(urls)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_channels_that_hang_stop_no_other(tree, serve, disk: Disk) -> None:
    hung = [cutout(f"hung-{i % 3}", z=8 * (i % 8)) for i in range(60)]
    with serve(tree) as client, asking(client, *hung) as answers:
        until(lambda: len({path for path in disk.reads if "hung" in path}) == 3)
        client.timeout = 10
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/metrics").status_code == 200
        for z in range(SIDE):
            assert client.get(cutout("em", z)).status_code == 200
        assert not answers
        disk.mended.set()
    assert {answer.status_code for answer in answers} == {200}


def test_work_for_clients_that_are_gone_is_dropped(tree, serve, disk: Disk) -> None:
    with serve(tree) as client:
        with httpx.Client(base_url=client.base_url, timeout=0.3) as impatient:
            for i in range(16):
                # Each wants the four chunks of one of eight layers.
                with pytest.raises(httpx.ReadTimeout):
                    impatient.get(cutout("hung-0", z=8 * (i % 8), width=SIDE, height=SIDE))
        until(lambda: client.get("/healthz").status_code == 200)
        time.sleep(0.3)
        begun = len(disk.reads)
        assert begun <= 8
        disk.mended.set()
        assert client.get(cutout("em")).status_code == 200
        time.sleep(0.5)
        # What was being read is finished; nothing more is begun.
        assert len([path for path in disk.reads if "hung" in path]) == begun


def test_an_answer_that_others_wait_for_is_made_though_one_client_goes(
    tree, serve, disk: Disk
) -> None:
    url = cutout("hung-0")
    with serve(tree) as client, asking(client, url) as answers:
        until(lambda: bool(disk.reads))
        with pytest.raises(httpx.ReadTimeout):
            client.get(url, timeout=0.2)
        time.sleep(0.2)
        disk.mended.set()
    assert answers[0].status_code == 200
    assert len(disk.reads) == 1


def test_without_memory_a_request_waits_and_is_then_told_to_come_back(
    tree, serve, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.concurrency.budget.PATIENCE", 0.3)
    monkeypatch.setattr("bfly.core.core.LEAST", 0)
    config = tree.replace(max_cutout_size=1)
    whole = {"width": SIDE, "height": SIDE, "depth": SIDE, "format": "tif"}
    with serve(config) as client, asking(client, cutout("hung-0", **whole)):
        until(lambda: bool(disk.reads))
        refused = [client.get(cutout(name, **whole)) for name in ("em", "hung-1")]
        small = client.get(cutout("tiny"))
        disk.mended.set()
        assert [answer.status_code for answer in refused] == [503, 503]
        assert refused[0].headers["retry-after"] == "2"
        assert "bytes of memory, and of 1048576 for all answers" in refused[0].text
        assert small.status_code == 200
        until(lambda: client.get(cutout("em", **whole)).status_code == 200)


@pytest.mark.parametrize("fact", ["unique", "highest", "box"])
def test_facts_about_labels_read_a_bounded_number_of_voxels(
    fact: str, tree, serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = SIDE**3 * 8
    url = {
        "unique": f"/v1/ids/exp/sam::dat/labels/0/0:{SIDE}/0:{SIDE}/0:{SIDE}/",
        "highest": "/v1/reserve/exp/sam::dat/labels/3",
        "box": "/v1/boundingbox/exp/sam::dat/labels/0/3/",
    }[fact]
    with serve(tree) as client:
        monkeypatch.setattr("bfly.cutouts.label_stats.MOST", size - 1)
        refused = client.get(url)
        monkeypatch.setattr("bfly.cutouts.label_stats.MOST", size)
        answered = client.get(url)
    assert refused.status_code == 413, refused.text
    assert f"{size} bytes of voxels would have to be read; at most {size - 1}" in refused.text
    assert answered.status_code == 200, answered.text


def test_memory_is_counted_until_a_slow_client_has_it(
    tmp_path, make_tree, serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.core.core.LEAST", 0)
    monkeypatch.setattr("bfly.core.core.WHOLE", 1000)
    monkeypatch.setattr("bfly.concurrency.budget.PATIENCE", 0.3)
    # 8 MiB that nothing compresses: more than the system takes off the server's hands.
    noise = np.random.default_rng(0).integers(0, 256, (128, 256, 256), np.uint8)
    np.save(tmp_path / "noise.npy", noise)
    tree = make_tree({"name": "noise", "path": str(tmp_path / "noise.npy")})
    whole = cutout("noise", width=256, height=256, depth=128, format="blosc")
    with serve(tree.replace(max_cutout_size=8)) as client:
        host, port = client.base_url.host, client.base_url.port
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect((host, port))
            slow.sendall(f"GET {whole} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert slow.recv(12) == b"HTTP/1.1 200"
            refused = client.get(whole)
        until(lambda: client.get(whole).status_code == 200)
    assert refused.status_code == 503
    assert "bytes of memory, and of 8388608 for all answers" in refused.text
