"""Sparse volumes: each format, at each mip, has the voxels that a cutout has."""

from __future__ import annotations

import csv
import io
import json
import struct
import tracemalloc
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pyarrow as pa
import pytest

from bfly.errors import BadRequest, TooLarge
from bfly.queries.data import BoxQuery
from bfly.queries.info import InfoQuery
from bfly.queries.segments import SparseVolumeQuery
from bfly.segments.background import BackgroundIndexes
from bfly.segments.store import Indexes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core

OFFSET = (3, -5, 10)

COLUMNS = ("x", "y", "z", "length")


@pytest.fixture
def core(make_core: Callable[..., Core], tmp_path: Path) -> Core:
    core = make_core()
    core.segments.indexes = BackgroundIndexes(Indexes(str(tmp_path / "kept"), 1 << 30))
    return core


def written(path: Path, voxels: np.ndarray) -> str:
    with h5py.File(path, "w") as file:
        file["main"] = voxels
    return str(path)


def of_dvid(data: bytes) -> list[list[int]]:
    """Decode the format of DVID: x, y, z and length of each run."""
    payload, dimensions, along, reserved, voxels, count = struct.unpack_from("<BBBBII", data)
    assert (payload, dimensions, along, reserved, voxels) == (0, 3, 0, 0, 0)
    assert len(data) == 12 + 16 * count
    return [list(run) for run in struct.iter_unpack("<iiii", data[12:])]


def of_arrow(data: bytes) -> list[list[int]]:
    table = pa.ipc.open_stream(data).read_all()
    return np.stack([table[name] for name in COLUMNS], axis=1).tolist()


def of_csv(data: bytes) -> list[list[int]]:
    rows = csv.DictReader(io.StringIO(data.decode()))
    return [[int(row[name]) for name in COLUMNS] for row in rows]


def of_lines(data: bytes) -> list[list[int]]:
    return [[json.loads(line)[name] for name in COLUMNS] for line in data.splitlines()]


DECODERS = {"rles": of_dvid, "arrow": of_arrow, "csv": of_csv, "jsonl": of_lines}


def answer(core: Core, path: str, label: int, **words: object) -> bytes:
    about = {"voxel_offset": OFFSET, "kind": "segmentation", "id": label, **words}
    query = SparseVolumeQuery(name="seg", labelled=(path,), path=path, **about)
    return b"".join(core.segments.sparse_volume(query))


def cutout(core: Core, path: str, **words: object) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return all voxels of a mip, and the first of them."""
    about = {"path": path, "voxel_offset": OFFSET, "kind": "segmentation", **words}
    query = BoxQuery(**about)
    query.update_source(core.update_query(query))
    place = query.volume.level(query.resolution).place
    sides = dict(zip(("depth", "height", "width"), place.shape, strict=True))
    whole = BoxQuery(**about, **dict(zip("zyx", place.start, strict=True)), **sides, format="raw")
    voxels = np.frombuffer(core.get_data(whole), query.volume.dtype)
    return voxels.reshape(place.shape), place.start


@pytest.mark.parametrize("voxel_size", [(4, 4, 4), (40, 4, 4)], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("mip", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", DECODERS)
def test_the_runs_are_the_voxels_of_a_cutout(
    core: Core,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    mip: int,
    voxel_size: tuple[int, ...],
) -> None:
    for module in ("building", "cells"):
        monkeypatch.setattr(f"bfly.segments.{module}.CELL", (4, 9, 8))
    blocks = np.random.default_rng(4).integers(0, 9, (5, 7, 9)).astype("u8")
    blocks[blocks == 8] = 2**64 - 1
    voxels = blocks.repeat(5, 0).repeat(6, 1).repeat(7, 2)
    # A label on the border of the volume, and one whose box ends with a cell.
    voxels[0], voxels[:, :9, :8] = 70, 71
    path = written(tmp_path / "seg.h5", voxels)
    query = InfoQuery(method="websocket:save", path=path, kind="segmentation")
    assert json.loads(core.get_edits(query, {"merge": [["3", "5", "70"]]}))["error"] == ""
    words = {"voxel_size": voxel_size, "resolution": mip}
    there, first = cutout(core, path, **words)
    for label in (1, 3, 71, 2**64 - 1):
        found = np.zeros(there.shape, int)
        runs = DECODERS[kind](answer(core, path, label, format=kind, **words))
        for x, y, z, length in runs:
            at = z - first[0], y - first[1], x - first[2]
            assert min(at) >= 0
            assert at[2] + length <= there.shape[2]
            found[at[0], at[1], at[2] : at[2] + length] += 1
        assert (found == (there == np.uint64(label))).all()
    # Edits can be left out, and the id of a supervoxel stands for its segment.
    one, both = (answer(core, path, 5, labels=which, **words) for which in LABELS)
    assert both == answer(core, path, 3, **words)
    assert one != both


LABELS = "supervoxels", "segments"


def test_too_many_runs_for_dvid_are_rows(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.core.sparse_volumes.MOST_RUNS", 40)
    path = written(tmp_path / "seg.h5", np.ones((3, 15, 8), "u1"))
    with pytest.raises(TooLarge, match=r"more than 40 runs at resolution 0; .* format=arrow"):
        answer(core, path, 1)
    assert len(of_arrow(answer(core, path, 1, format="arrow"))) == 45


def test_positions_that_dvid_cannot_have_are_refused(core: Core, tmp_path: Path) -> None:
    path = written(tmp_path / "seg.h5", np.ones((3, 5, 8), "u1"))
    far = {"voxel_offset": (0, 0, 2**31 - 4)}
    with pytest.raises(BadRequest, match=r"do not fit the format of DVID.*ask with format=arrow"):
        answer(core, path, 1, **far)
    runs = of_arrow(answer(core, path, 1, format="arrow", **far))
    assert runs[-1] == [2**31, 4, 2, 4]


@pytest.mark.parametrize("kind", ["rles", "arrow"])
def test_a_giant_takes_little_memory(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("bfly.core.sparse_volumes.SPOOL", 1 << 20)
    monkeypatch.setattr("bfly.segments.background.PATIENCE", 60)
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file.create_dataset("main", (256, 512, 512), "u1", chunks=(64, 128, 128), fillvalue=1)
    path = str(tmp_path / "seg.h5")
    query = SparseVolumeQuery(
        name="seg", labelled=(path,), path=path, kind="segmentation", id=1, format=kind
    )
    parts = core.segments.sparse_volume(query)
    tracemalloc.start()
    size = sum(map(len, parts))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 64 MiB of voxels, and four runs in each of 256 × 512 rows.
    assert size >= 16 * 4 * 256 * 512
    assert peak < 16 << 20
