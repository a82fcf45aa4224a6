"""A mesh on demand: the largest body of FIB-25, beside zmesh and chunkmirage."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from websockets.sync.client import connect

from benchmarks.client import get
from benchmarks.data import CHUNK, shared_data
from benchmarks.environments import python_with
from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.peers import HOST, bfly, config_of, serving_chunkmirage

__all__ = ["Meshed", "measure", "bodies"]

NANOMETRES = 10
"""Side of a voxel."""

CONNECTIONS = 4
"""Fragments that are asked for at once."""

ZMESH = "zmesh==1.15.0", "h5py==3.16.0"
CHUNKMIRAGE = "chunkmirage==0.1.0a5", "h5py==3.16.0", "scikit-image==0.26.0"

COLD, WARM, FIRST = "cold", "warm", "first fragment"
SIMPLIFIED, RAW, MIRAGE = "zmesh, simplified", "zmesh", "chunkmirage"

PRE = "pre/e/s/d/em"


@dataclass
class Meshed:
    """The mesh of a body, from a server and in one process.

    Parameters
    ----------
    data : str
        The volume.
    voxels, triangles : int
        Of the body, and of its mesh.
    samples : Samples
        Seconds: of all fragments from a server without any (`COLD`) and asked for again (`WARM`);
        of the list and the first fragment; of zmesh in one process, without and with its
        simplification; of all fragments from chunkmirage. The index of the labels is there.
    touched, fragments : int
        Fragments that are new after a merge, of all of the body.
    peers : dict
        The peers with their versions.
    skipped : str
        Why there is nothing.
    """

    data: str
    voxels: int = 0
    triangles: int = 0
    samples: Samples = field(default_factory=dict)
    touched: int = 0
    fragments: int = 0
    peers: dict[str, str] = field(
        default_factory=lambda: {
            SIMPLIFIED: f"{ZMESH[0]} with its simplification, one process",
            MIRAGE: f"{CHUNKMIRAGE[0]}, mesh on demand",
        }
    )
    skipped: str = ""


def measure(folder: Path, rounds: int) -> Meshed:
    """Measure.

    Parameters
    ----------
    folder : Path
        Keeps the bodies and the environments of the peers.
    rounds : int
        How many samples are taken of each.

    Raises
    ------
    WrongAnswer
        A mesh is not closed, or has another volume than the body.
    """
    result = Meshed("FIB-25, bodies")
    if not (shared_data() / "fib25").is_dir():
        result.skipped = "FIB-25 is missing"
        return result
    path = bodies(folder / "bodies.h5")
    with h5py.File(path) as file:
        voxels = file["main"][:]
    counts = np.bincount(voxels.ravel())
    body = int(counts[1:].argmax()) + 1
    result.voxels = int(counts[body])
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as work:
        kept = Path(work) / "index"
        _index(Path(work), path, kept)
        ways = {COLD: partial(_ours, path, kept, body, result)}
        if zmesh := python_with(folder, *ZMESH):
            ways[SIMPLIFIED] = partial(_zmesh, zmesh, path, body, result)
        if mirage := python_with(folder, *CHUNKMIRAGE):
            ways[MIRAGE] = partial(_mirage, mirage, path, body)
        result.samples |= interleaved(rounds, ways)
        result.samples = {name: each[-rounds:] for name, each in result.samples.items()}
        _merge(Path(work), path, kept, body, voxels, result)
    return result


def bodies(path: Path) -> Path:
    """Write the bodies of FIB-25 to a file, unless they are there; return its path."""
    if not path.exists():
        packed = shared_data() / "fib25" / "groundtruth.h5.gz"
        with h5py.File(io.BytesIO(gzip.decompress(packed.read_bytes()))) as file:
            stack, pairs = file["stack"][:], file["transforms"][:]
        lookup = np.zeros(stack.max() + 1, np.uint32)
        lookup[pairs[:, 0]] = pairs[:, 1]
        unfinished = path.with_suffix(".tmp")
        with h5py.File(unfinished, "w") as file:
            file.create_dataset("main", data=lookup[stack], chunks=CHUNK, compression="gzip")
        unfinished.rename(path)
    return path


def _config(path: Path, kept: Path, log: Path) -> dict[str, Any]:
    config = config_of(str(path))
    (channel,) = config["bfly"]["experiments"][0]["samples"][0]["datasets"][0]["channels"]
    channel |= {"kind": "segmentation", "voxel_size": [NANOMETRES] * 3}
    config["bfly"] |= {"pyramid": {"folder": str(kept)}, "edit-path": str(log)}
    return config


def _index(work: Path, path: Path, kept: Path) -> None:
    """Let a server build the label index."""
    place = work / "indexed"
    place.mkdir()
    with bfly(place, _config(path, kept, work / "none.db")) as port:
        words = "experiment=e&sample=s&dataset=d&channel=em&count=1"
        get(f"http://{HOST}:{port}/api/segments?{words}")


def _fragments(url: str, names: list[str]) -> list[bytes]:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(lambda name: get(f"{url}/{name}"), names))


def _names(url: str, body: int) -> list[str]:
    names: list[str] = json.loads(get(f"{url}/{body}:0"))["fragments"]
    return names


def _ours(path: Path, kept: Path, body: int, result: Meshed) -> float:
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as work:
        folder = Path(work)
        shutil.copytree(kept, folder / "kept")
        with bfly(folder, _config(path, folder / "kept", folder / "log.db")) as port:
            url = f"http://{HOST}:{port}/{PRE}/mesh"
            get(f"http://{HOST}:{port}/{PRE}/info")
            start = time.perf_counter()
            names = _names(url, body)
            first = get(f"{url}/{names[0]}")
            began = time.perf_counter()
            parts = [first, *_fragments(url, names[1:])]
            cold = time.perf_counter() - start
            again = time.perf_counter()
            if _fragments(url, _names(url, body)) != parts:
                raise WrongAnswer("a fragment that is kept is another one")
            warm = time.perf_counter() - again
    result.samples.setdefault(WARM, []).append(warm)
    result.samples.setdefault(FIRST, []).append(began - start)
    result.triangles = _check(parts, result.voxels)
    return cold


def _check(parts: list[bytes], voxels: int) -> int:
    """Return the triangles of fragments, whose volume has to be that of the voxels."""
    volume, count = 0.0, 0
    for part in parts:
        vertices = np.frombuffer(part, "<f4", 3 * int.from_bytes(part[:4], "little"), 4)
        triangles = np.frombuffer(part, "<u4", offset=4 + vertices.nbytes).reshape(-1, 3)
        a, b, c = vertices.reshape(-1, 3).astype(float)[triangles].transpose(1, 0, 2)
        volume += float((a * np.cross(b, c)).sum() / 6)
        count += len(triangles)
    if abs(volume / NANOMETRES**3 / voxels - 1) > 0.05:
        raise WrongAnswer(f"a mesh has the volume of {volume / NANOMETRES**3:.0f} voxels")
    return count


def _zmesh(python: str, path: Path, body: int, result: Meshed) -> float:
    script = str(Path(__file__).with_name("zmesh_mesh.py"))
    command = [python, script, str(path), str(body), str(NANOMETRES)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    meshed, simplified, _ = map(float, said.split())
    result.samples.setdefault(RAW, []).append(meshed)
    return meshed + simplified


def _mirage(python: str, path: Path, body: int) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="bfly-bench-") as work,
        serving_chunkmirage(Path(work), python, path, body) as port,
    ):
        url = f"http://{HOST}:{port}/body/mesh"
        start = time.perf_counter()
        parts = _fragments(url, _names(url, 1))
        took = time.perf_counter() - start
    if not any(map(len, parts)):
        raise WrongAnswer("chunkmirage has no mesh")
    return took


def _merge(
    work: Path, path: Path, kept: Path, body: int, voxels: np.ndarray[Any, Any], result: Meshed
) -> None:
    """Merge a small body into the largest, and count the fragments that are new."""
    sizes = np.bincount(voxels.ravel())
    small = int(np.argmin(np.where(sizes > 1000, sizes, sizes.max())))
    with bfly(work, _config(path, kept, work / "log.db")) as port:
        url = f"http://{HOST}:{port}/{PRE}/mesh"
        before = _names(url, body)
        with connect(f"ws://{HOST}:{port}/ws/e/s/d/em") as socket:
            socket.recv()
            ids = [[str(body), str(small)]]
            socket.send(json.dumps({"action": "save", "merge": ids, "split": []}))
            if error := json.loads(socket.recv())["error"]:
                raise WrongAnswer(error)
        after = _names(url, body)
        _check(_fragments(url, after), int(sizes[body] + sizes[small]))
    result.touched, result.fragments = len(set(after) - set(before)), len(after)
