"""The memory of a whole mesh: a few cells, however large the segment."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import h5py
import pytest

from bfly.core import core as core_module
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.keywords import RUNTIME
from bfly.queries.mesh_file import MeshFileQuery

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (256, 512, 512)

MOST = 40 << 20
"""Bytes: the voxels of the segment take 64 MiB."""


@pytest.mark.parametrize("kind", ["ply", "stl"])
def test_a_large_segment_is_never_whole_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(core_module, "FOR_MESHES", 8 << 20)
    path = tmp_path / "solid.h5"
    with h5py.File(path, "w") as file:
        # No chunk is stored.
        file.create_dataset("main", SHAPE, "u1", chunks=(64, 128, 128), fillvalue=7)
    runtime = RUNTIME()
    runtime.PYRAMID.FOLDER.VALUE = str(tmp_path / "kept")
    runtime.PYRAMID.SIZE.VALUE = 1 << 30
    runtime.CACHE.MAX.VALUE = 8 << 20
    core = Core(Nodb("", runtime))
    words = {"path": str(path), "kind": "segmentation", "id": 7, "format": kind, "mip": 0}
    size = 0
    query = MeshFileQuery(**words)
    query.update_source(core.update_query(query))
    core.segments.segments(query.volume, None)
    tracemalloc.start()
    try:
        for part in core.meshes.file(query):
            size += len(part)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        core.close()
    # Two triangles for each face of a voxel, but at the edges.
    assert size > 2 * (2 * 512 * 512 + 4 * 256 * 512) * (50 if kind == "stl" else 19) * 0.95
    assert peak < MOST
