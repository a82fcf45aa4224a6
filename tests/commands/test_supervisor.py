"""Several worker processes on one port, started with the command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import h5py
import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "data" / "em.h5", "w") as file:
        file.create_dataset("main", data=np.ones((32, 32, 32), "u1"), chunks=(32, 32, 32))
    return tmp_path


def requests(url: str) -> float:
    families = text_string_to_metric_families(httpx.get(f"{url}metrics").text)
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "bfly_requests_total" and sample.labels["protocol"] == "api"
    )


def test_workers_share_a_port_and_their_counts(folder: Path) -> None:
    words = ["-e", "data", "--workers", "2", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bfly", *words], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    try:
        line = next(line for line in process.stderr if "http://" in line)
        url = next(word for word in line.split() if word.startswith("http://"))
        workers = [int(pid) for pid in re.findall(r"\d+(?=[, ])", line.partition("workers")[2])]
        assert len(workers) == 2
        for _ in range(20):  # each on a connection of its own
            assert httpx.get(f"{url}api/experiments").json() == ["root"]
        assert requests(url) == 20

        os.kill(workers[0], signal.SIGKILL)
        line = next(line for line in process.stderr if "worker ended" in line)
        assert "another is started" in line
        for _ in range(20):
            assert httpx.get(f"{url}api/experiments").json() == ["root"]
        assert requests(url) == 40
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.returncode == 130
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def children(pid: int) -> list[int]:
    """Return the workers of a command: those of its processes that serve, or are about to."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):  # It may end just now.
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


def served(url: str, count: int) -> int:
    """Return the number of answered connections, of `count` new ones."""
    done = 0
    for _ in range(count):
        with suppress(httpx.TransportError):
            done += httpx.get(f"{url}api/experiments", timeout=10).status_code == 200
    return done


@pytest.fixture
def three(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A command with three workers: its process, its address, and what it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bfly", "-e", "data", "--workers", "3", "0"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "300", "NO_COLOR": "1"},
    )
    assert process.stderr
    said: list[str] = []
    try:
        line = next(line for line in process.stderr if "http://" in line)
        reader = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
        reader.start()
        yield process, next(word for word in line.split() if word.startswith("http://")), said
    finally:
        process.kill()
        process.wait()
        reader.join(30)
        process.stderr.close()


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_replacements_that_are_killed_before_they_serve_are_replaced(three) -> None:
    process, url, said = three
    first = children(process.pid)
    assert len(first) == 3
    os.kill(first[0], signal.SIGKILL)
    kept = set(first[1:])
    for _ in range(3):
        until(lambda: bool(set(children(process.pid)) - kept - {first[0]}))
        for child in set(children(process.pid)) - kept:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        until(lambda: set(children(process.pid)) == kept)
        assert served(url, 5) == 5
    until(lambda: len(children(process.pid)) == 3)
    assert process.poll() is None
    delays = [line.rpartition(" in ")[2].strip() for line in said if "another is started" in line]
    assert delays[:4] == ["0.5 s", "1 s", "2 s", "4 s"]
    assert sum("before it served" in line for line in said) == 3
    assert served(url, 20) == 20
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert process.returncode == 130
    assert not any("Traceback" in line for line in said)


def test_when_all_workers_are_killed_all_come_back(three) -> None:
    process, url, _ = three
    for _ in range(2):
        for child in children(process.pid):
            os.kill(child, signal.SIGKILL)
        until(lambda: len(children(process.pid)) == 3)
        until(lambda: served(url, 1) == 1)
    assert process.poll() is None
    until(lambda: served(url, 20) == 20)


def test_an_interrupt_ends_workers_that_wait_for_their_start(three) -> None:
    process, _, _ = three
    for _ in range(2):
        for child in children(process.pid):
            os.kill(child, signal.SIGKILL)
        time.sleep(0.7)
    process.send_signal(signal.SIGTERM)
    process.wait(40)
    assert process.returncode == 130


def test_a_worker_that_ends_before_it_served_ends_the_first_start(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bfly", "-e", "data", "--workers", "2", "0"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: bool(children(process.pid)))
        os.kill(children(process.pid)[0], signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "A worker ended with exit code -9 before it served." in said
    assert "Traceback" not in said


LIMITED = """
import resource, sys
from bfly.cli import main
import bfly.commands.supervisor as supervisor
start, starts = supervisor._Worker.start, []
def limited(self):
    starts.append(1)
    if len(starts) in (3, 4):
        raise BlockingIOError(11, "Resource temporarily unavailable")
    start(self)
supervisor._Worker.start = limited
sys.exit(main(["-e", "data", "--workers", "2", "0"]))
"""


def test_a_process_that_cannot_be_started_is_tried_again(folder: Path) -> None:
    (folder / "limited.py").write_text(f"if __name__ == '__main__':\n{indent(LIMITED, '    ')}")
    process = subprocess.Popen(
        [sys.executable, "limited.py"], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    try:
        line = next(line for line in process.stderr if "http://" in line)
        url = next(word for word in line.split() if word.startswith("http://"))
        os.kill(children(process.pid)[0], signal.SIGKILL)
        for _ in range(2):
            assert any("A worker cannot be started" in line for line in process.stderr)
        until(lambda: len(children(process.pid)) == 2)
        until(lambda: served(url, 10) == 10)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.returncode == 130
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_workers_end_with_the_first_process(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bfly", "-e", "data", "--workers", "2", "0"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    next(line for line in process.stderr if "http://" in line)
    process.kill()
    # Their end of the pipe is closed when they are gone.
    process.stderr.read()
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize(
    ("settings", "words", "message"),
    [
        ("db-type: Nodb", ["--workers", "2", "0"], "2 workers need a database that they share"),
        ("developer-mode: yes", ["--workers", "2", "0"], "In developer-mode there is one worker."),
        ("", ["--workers", "0"], "0 is not a number from 1 to 256"),
    ],
)
def test_what_workers_cannot_do(
    tmp_path: Path, settings: str, words: list[str], message: str
) -> None:
    (tmp_path / "bfly.yaml").write_text(f"bfly:\n  experiments: []\n  {settings}\n")
    ran = subprocess.run(
        [sys.executable, "-m", "bfly", "-e", "bfly.yaml", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode != 0
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_port_that_is_taken_is_an_error(folder: Path, command) -> None:
    with command("-e", "data", "--workers", "2", "0", cwd=folder) as url:
        port = url.rstrip("/").rpartition(":")[2]
        for workers in ("1", "2"):
            ran = subprocess.run(
                [sys.executable, "-m", "bfly", "-e", "data", "--workers", workers, port],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert ran.returncode == 1
            assert f"Port {port} of 127.0.0.1 cannot be had" in ran.stderr
