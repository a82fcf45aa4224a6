"""The command ``python -m benchmarks.flames LABEL``: where a server's time goes, as flame graphs.

It samples a server with py-spy while a warm chunk is asked for, and while 512² PNG tiles are read
from gzip HDF5 with a cache that keeps none, and writes ``docs/performance/WORK-LABEL.svg``. py-spy
has to be allowed to look into another process: on Linux that is root.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
from rich.console import Console

from benchmarks.__main__ import DATA
from benchmarks.client import get, under_load
from benchmarks.data import Volume, volumes
from benchmarks.measure import WrongAnswer
from benchmarks.peers import HOST, config_of, configured, serving
from benchmarks.serving import CHUNK

Load = Callable[[Volume, int, int], None]

SECONDS = 6
RATE = 100
"""How long is sampled, and how many times a second."""

TILE = "/api/data?experiment=e&sample=s&dataset=d&channel=em&x=0&y=0&width=512&height=512"


def main() -> None:
    """Draw both flame graphs."""
    parser = argparse.ArgumentParser("python -m benchmarks.flames", description=__doc__)
    parser.add_argument("label", help="what the files are named for: before, after")
    parser.add_argument("--tree", help="another checkout of Butterfly, which is sampled instead")
    given = parser.parse_args()
    if given.tree:
        os.environ["PYTHONPATH"] = str(Path(given.tree).absolute())
    console = Console()
    volume = volumes(DATA, console)[-1]
    folder = Path(__file__).parents[1] / "docs" / "performance"
    for name, load, cache in (("warm-chunk", _chunk, 1024), ("cold-tile", _tiles, 1)):
        path = folder / f"{name}-{given.label}.svg"
        _sample(volume, path, load, cache)
        _entitle(path, f"{name.replace('-', ' ')}, {given.label}")
        console.print(f"{path}: {path.stat().st_size:,} bytes")


def _sample(volume: Volume, path: Path, load: Load, cache: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as work:
        config = config_of(volume.em, **{"max-cache-size": cache})
        with serving(Path(work), configured(Path(work), config)) as (port, pid):
            load(volume, port, 1)
            command = [str(Path(sys.executable).with_name("py-spy")), "record", "-f", "flamegraph"]
            command += ["-p", str(pid), "-d", str(SECONDS), "-r", str(RATE), "-o", str(path)]
            with subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            ) as spy:
                load(volume, port, SECONDS + 2)
            if spy.returncode:
                raise SystemExit("py-spy could not look into the server: does it have to be root?")


def _entitle(path: Path, title: str) -> None:
    """Put a title in the place of py-spy's, which is its command with the paths of this machine."""
    text = re.sub(r'(<text id="title"[^>]*>)[^<]*', rf"\g<1>{title}", path.read_text(), count=1)
    path.write_text(text)


def _chunk(volume: Volume, port: int, seconds: int) -> None:
    """Ask for a chunk that is in the cache, on 16 connections."""
    with h5py.File(volume.em) as file:
        truth = file["main"][64:128, 128:192, 64:128].tobytes()
    url = f"http://{HOST}:{port}{CHUNK}"
    if get(url) != truth:
        raise WrongAnswer(url)
    under_load(url, seconds, len(truth))


def _tiles(volume: Volume, port: int, seconds: int) -> None:
    """Ask for tiles of which no two in turn are from the same chunks."""
    with h5py.File(volume.em) as file:
        truth = file["main"][:]
    end = time.perf_counter() + seconds
    places = [z + 64 * slab for z in range(64) for slab in range(len(truth) // 64)]
    while True:
        for z in places:
            if not np.array_equal(
                imagecodecs.png_decode(get(f"http://{HOST}:{port}{TILE}&z={z}")), truth[z]
            ):
                raise WrongAnswer(f"the tile of section {z}")
            if time.perf_counter() > end:
                return


if __name__ == "__main__":
    main()
