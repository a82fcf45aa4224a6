"""Several workers on one port, as people start them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from pathlib import Path


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
