"""Splits of FIB-25 by a server: a merge, or a list of an imported table, joins two true bodies."""

from __future__ import annotations

import contextlib
import csv
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

from benchmarks.peers import HOST, configured, serving
from benchmarks.splitting_pairs import SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.splitting_pairs import Joined, Tissue, Voxels

__all__ = ["Served", "Tables", "merged_wrongly", "wrong_lists"]

IDS = 1000
"""Supervoxels of a request for their segments."""


class Served(NamedTuple):
    """Wrong supervoxels, the largest one, wrong voxels relative to the smaller body, and time.

    A split that was refused has all voxels on the wrong side.
    """

    wrong: int
    largest: int
    share: float
    milliseconds: float


class Server:
    """FIB-25 at an address.

    Parameters
    ----------
    address : str
        That of the edits.
    data : Tissue
        The truth.
    """

    def __init__(self, address: str, data: Tissue) -> None:
        self._address, self._data = address, data
        self._sizes = np.bincount(data.supervoxels.ravel())

    def post(self, action: str, **asked: Any) -> Any:
        """Return the answer to an edit."""
        request = urllib.request.Request(
            f"{self._address}/{action}",
            json.dumps(asked).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def segments(self, supervoxels: Voxels) -> Voxels:
        """Return the segment of each supervoxel."""
        found = []
        for start in range(0, len(supervoxels), IDS):
            ids = ",".join(map(str, supervoxels[start : start + IDS].tolist()))
            with urllib.request.urlopen(f"{self._address}/roots?ids={ids}", timeout=60) as answer:
                found += [int(row["id"]) for row in json.load(answer)["roots"]]
        return np.array(found)

    def split(self, pair: Joined, count: int) -> Served:
        """Split a pair by points, compare the segments with the bodies, and take it back."""
        sources, sinks = ([row[::-1].tolist() for row in group[:count]] for group in pair.points)
        ids = np.flatnonzero(np.isin(self._data.body, pair.bodies))
        own = self._sizes[ids]
        ids, own = ids[own > 0], own[own > 0]
        is_first = self._data.body[ids] == pair.bodies[0]
        start = time.perf_counter()
        try:
            made = self.post("split", sources=sources, sinks=sinks)
        except urllib.error.HTTPError as error:
            if error.code != 400:
                raise
            return Served(len(ids), int(own.max()), 1.0, 1e3 * (time.perf_counter() - start))
        seconds = time.perf_counter() - start
        names = self.segments(ids)
        first = names[ids == self._data.supervoxels[tuple(pair.points[0][0])]]
        wrong = own[(names == first) != is_first]
        self.post("undo", operations=[made["operation"]])
        smaller = min(own[is_first].sum(), own[~is_first].sum())
        share = float(wrong.sum() / smaller)
        return Served(len(wrong), int(wrong.max(initial=0)), share, 1e3 * seconds)


class Tables:
    """Serves supervoxels and micrograph of FIB-25 with imported tables.

    Parameters
    ----------
    folder : Path
        Where the files are written.
    data : Tissue
        Supervoxels, micrograph, and the truth.
    """

    def __init__(self, folder: Path, data: Tissue) -> None:
        self._folder, self._data = folder, data
        self._databases = 0
        for name, voxels in (("seg", data.supervoxels.astype("u4")), ("em", data.image)):
            with h5py.File(folder / f"{name}.h5", "w") as file:
                file["main"] = voxels

    @contextlib.contextmanager
    def server(self, segment: Voxels) -> Iterator[Server]:
        """Serve with a table of the segment of each supervoxel, or 0."""
        self._databases += 1
        experiments = configured(self._folder, self._config())
        table = self._folder / "table.csv"
        with table.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["supervoxel", "segment"])
            ids = np.flatnonzero(segment)
            rows.writerows(zip(ids.tolist(), segment[ids].tolist(), strict=True))
        command = [sys.executable, "-m", "bfly"]
        options = ["-e", experiments, "seg"]
        for action in (["index", *options], ["edits", "import", *options, str(table)]):
            subprocess.run([*command, *action], check=True, capture_output=True)
        with serving(self._folder, experiments) as (port, _):
            yield Server(f"http://{HOST}:{port}/api/edits/e/s/d/seg", self._data)

    def _config(self) -> dict[str, Any]:
        channels = [
            {
                "name": name,
                "path": str(self._folder / f"{name}.h5"),
                "kind": kind,
                "voxel_size": list(SIZE),
            }
            for name, kind in (("seg", "segmentation"), ("em", "image"))
        ]
        samples = [{"name": "s", "datasets": [{"name": "d", "path": "/", "channels": channels}]}]
        settings = {
            "db-path": str(self._folder / f"{self._databases}.db"),
            "pyramid": {"folder": str(self._folder / "kept")},
        }
        return {"bfly": {"experiments": [{"name": "e", "samples": samples}], **settings}}


def merged_wrongly(
    tables: Tables, data: Tissue, pairs: Sequence[Joined], counts: Sequence[int]
) -> dict[int, list[Served]]:
    """Import the true bodies, and split each pair after it was merged by two points."""
    rows: dict[int, list[Served]] = {count: [] for count in counts}
    with tables.server(data.body) as server:
        for pair in pairs:
            made = server.post("merge", points=[group[0][::-1].tolist() for group in pair.points])
            for count in counts:
                rows[count].append(server.split(pair, count))
            server.post("undo", operations=[made["operation"]])
    return rows


def wrong_lists(
    tables: Tables, data: Tissue, pairs: Sequence[Joined], counts: Sequence[int]
) -> dict[int, list[Served]]:
    """Import tables that have pairs as one segment, and split each."""
    found: dict[int, dict[int, Served]] = {count: {} for count in counts}
    left = list(enumerate(pairs))
    while left:
        # A body is in one pair of a table.
        used: set[int] = set()
        table = data.body.copy()
        chosen, later = [], []
        for at, pair in left:
            if used.isdisjoint(pair.bodies):
                used.update(pair.bodies)
                chosen.append((at, pair))
                table[data.body == pair.bodies[1]] = pair.bodies[0]
            else:
                later.append((at, pair))
        left = later
        with tables.server(table) as server:
            for at, pair in chosen:
                for count in counts:
                    found[count][at] = server.split(pair, count)
    return {count: [rows[at] for at in range(len(pairs))] for count, rows in found.items()}
