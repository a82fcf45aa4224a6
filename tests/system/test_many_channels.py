"""A folder of more channels than files may be open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import h5py
import httpx
import numpy as np

from bfly.storage.files import Files
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

CHANNELS = 2 * Files().limit
SPARE = 64
"""Open files of other kinds: the server's sockets, the log, the database."""


def test_every_channel_answers_and_open_files_are_bounded(
    tmp_path: Path, command: Callable[..., AbstractContextManager[str]]
) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    volumes = random_volume((CHANNELS, 32, 16), "uint8").reshape(-1, 2, 16, 16)
    for number, volume in enumerate(volumes):
        if number % 2:
            np.save(folder / f"{number}.npy", volume)
        else:
            with h5py.File(folder / f"{number}.h5", "w") as file:
                file.create_dataset("main", data=volume, chunks=(1, 8, 8), compression="gzip")
    with command("-e", str(folder), "0", cwd=tmp_path) as url, httpx.Client(timeout=60) as client:
        (process,) = listeners(int(url.rstrip("/").rpartition(":")[2]))
        most = 0
        for number, volume in enumerate(volumes):
            channel = f"{number}.{'npy' if number % 2 else 'h5'}"
            words = {"experiment": "root", "sample": "lab", "dataset": "lab", "channel": channel}
            box = {"x": 0, "y": 0, "z": 0, "width": 16, "height": 16, "depth": 2}
            answer = client.get(
                f"{url.rstrip('/')}/api/data", params={**words, **box, "format": "raw"}
            )
            assert answer.content == volume.tobytes(), answer.text
            most = max(most, len(os.listdir(f"/proc/{process}/fd")))
    assert Files().limit < most <= Files().limit + SPARE


def listeners(port: int) -> set[int]:
    """Return the processes that listen on a port."""
    with open("/proc/net/tcp") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    listening = "0A"
    sockets = {
        f"socket:[{words[9]}]"
        for words in lines
        if words[3] == listening and int(words[1].rpartition(":")[2], 16) == port
    }
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            folder = f"/proc/{process}/fd"
            if sockets & {os.readlink(f"{folder}/{each}") for each in os.listdir(folder)}:
                found.add(int(process))
        except OSError:
            continue
    return found
