"""Memory of the mesh of a giant: a segment that fills 2048³ voxels, none of which is stored."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError

import h5py

from benchmarks.client import get
from benchmarks.measure import WrongAnswer
from benchmarks.memory import forget_peak, peak, resident
from benchmarks.peers import HOST, config_of, configured, serving

__all__ = ["Solid", "measure"]

SIDE = 2048

SEGMENT = 7

PATIENCE = 300
"""Seconds in which the label index is built."""

WORDS = f"experiment=e&sample=s&dataset=d&channel=em&id={SEGMENT}&format=stl"


@dataclass
class Solid:
    """What a server took.

    Parameters
    ----------
    fragments : int
        Of the mesh.
    resident : dict
        The most MiB above the idle server until the list, all fragments, and the file of the
        mesh were sent.
    """

    fragments: int
    resident: dict[str, float] = field(default_factory=dict)


def measure() -> Solid:
    """Ask for the list of the fragments, for all of them, and for the mesh as STL.

    Raises
    ------
    WrongAnswer
        There is no index in time, or the file is not the mesh of a cube.
    """
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as work:
        path = Path(work) / "solid.h5"
        with h5py.File(path, "w") as file:
            chunks = (64, 128, 128)
            file.create_dataset("main", (SIDE,) * 3, "u1", chunks=chunks, fillvalue=SEGMENT)
        config = config_of(str(path))
        (channel,) = config["bfly"]["experiments"][0]["samples"][0]["datasets"][0]["channels"]
        channel |= {"kind": "segmentation", "voxel_size": [10] * 3}
        config["bfly"]["pyramid"] = {"folder": f"{work}/kept"}
        with serving(Path(work), configured(Path(work), config)) as (port, process):
            return _asked(f"http://{HOST}:{port}", process)


def _asked(server: str, process: int) -> Solid:
    url = f"{server}/pre/e/s/d/em/mesh"
    _await_index(f"{url}/{SEGMENT}:0")
    forget_peak(process)
    idle = resident(process)
    names = json.loads(get(f"{url}/{SEGMENT}:0"))["fragments"]
    result = Solid(len(names))

    def note(what: str) -> None:
        result.resident[what] = (peak(process) - idle) / 2**20

    note("list")
    for name in names:
        get(f"{url}/{name}", seconds=600)
    note("fragments")
    data = get(f"{server}/api/mesh?{WORDS}", seconds=600)
    note("file")
    count = int.from_bytes(data[80:84], "little")
    # The mip of the mesh is 4: six faces of 128², each voxel two triangles, but at the edges.
    if len(data) != 84 + 50 * count or abs(count / (6 * 128**2 * 2) - 1) > 0.05:
        raise WrongAnswer(f"the mesh of a cube has {count} triangles")
    return result


def _await_index(url: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            get(url)
        except HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(1)
        else:
            return
    raise WrongAnswer(f"There is no label index after {PATIENCE} s")
