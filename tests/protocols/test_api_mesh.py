"""Meshes as files over HTTP: closed, in their place, after edits, and refused where too large."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import trimesh
from websockets.sync.client import connect

from bfly.core import mesh_files
from bfly.segments.surface import Surface
from tests.fixtures.labels import served_labels
from tests.segments.test_surface import open_edges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

AT = {"experiment": "e", "sample": "s", "dataset": "d", "channel": "seg"}

SHAPE = (80, 200, 300)
SIZE = (40, 8, 9)
OFFSET = (10, -20, 30)


@pytest.fixture
def voxels() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    voxels = np.zeros(SHAPE, "u8")
    voxels[(z - 40) ** 2 * 9 + (y - 100) ** 2 + (x - 140) ** 2 < 80**2] = 7
    voxels[:, 190:, :40] = 2**40 + 1
    voxels[40:44, 99:101, 210:260] = 9
    return voxels


@pytest.fixture
def client(tmp_path: Path, voxels: np.ndarray, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    place = {"voxel_offset": OFFSET, "voxel_size": SIZE}
    with served_labels(tmp_path, voxels, serve, **place) as client:
        yield client


def mesh(client: httpx.Client, process: bool = False, **words: object) -> trimesh.Trimesh:
    answer = client.get("/api/mesh", params={**AT, **words})
    assert answer.status_code == 200, answer.text
    kind = str(words.get("format", "ply"))
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="seg-{words["id"]}.{kind}"'
    )
    found = trimesh.load(io.BytesIO(answer.content), file_type=kind, process=process, force="mesh")
    assert isinstance(found, trimesh.Trimesh)
    return found


def bounds(voxels: np.ndarray, label: int) -> list[list[float]]:
    places = np.argwhere(voxels == label) + OFFSET
    low, high = places.min(axis=0) * SIZE, (places.max(axis=0) + 1) * SIZE
    return [low[::-1].tolist(), high[::-1].tolist()]


@pytest.mark.parametrize("kind", ["obj", "ply", "stl", "glb"])
def test_a_file_is_closed_and_where_the_segment_is(
    client: httpx.Client, voxels: np.ndarray, kind: str
) -> None:
    for label in (7, 2**40 + 1):
        # Triangles of STL have corners of their own, which trimesh joins.
        found = mesh(client, process=kind == "stl", id=label, format=kind)
        assert found.is_watertight
        assert found.is_winding_consistent
        assert found.bounds.tolist() == bounds(voxels, label)
        volume = np.count_nonzero(voxels == label) * np.prod(SIZE)
        assert found.volume == pytest.approx(volume, rel=0.1)


def test_all_formats_have_the_same_triangles(client: httpx.Client) -> None:
    ply, obj, glb, stl = (mesh(client, id=7, format=kind) for kind in ("ply", "obj", "glb", "stl"))
    for other in (obj, glb):
        # Nine digits of a float32 are not all of a float64.
        assert (np.float32(other.vertices) == np.float32(ply.vertices)).all()
        assert (other.faces == ply.faces).all()
    assert (stl.triangles == ply.triangles).all()
    # Each is there once, also where fragments meet.
    assert len(np.unique(ply.vertices, axis=0)) == len(ply.vertices)
    assert ply.area == stl.area > 0


def test_the_normals_of_stl_face_outwards(client: httpx.Client) -> None:
    data = client.get("/api/mesh", params={**AT, "id": 7, "format": "stl"}).content
    facets = np.frombuffer(data, mesh_files_facet(), offset=84)
    middle = facets["corners"].mean(axis=1) - facets["corners"].mean(axis=(0, 1))
    # A ball: seen from its middle, all of its surface faces away.
    assert (np.einsum("ij,ij->i", middle, facets["normal"]) > 0).mean() > 0.99
    assert np.linalg.norm(facets["normal"], axis=1) == pytest.approx(1, abs=1e-5)


def mesh_files_facet() -> np.dtype[Any]:
    return np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def test_the_mip_can_be_chosen(client: httpx.Client, voxels: np.ndarray) -> None:
    fine, coarse = mesh(client, id=7, mip=0), mesh(client, id=7, mip=2)
    assert len(coarse.faces) < len(fine.faces) / 4
    # Where voxels touch along an edge only, four triangles do; so it is not watertight to trimesh.
    assert open_edges([Surface(coarse.vertices, coarse.faces)]) == 0
    assert coarse.volume == pytest.approx(fine.volume, rel=0.1)
    assert coarse.bounds == pytest.approx(fine.bounds, abs=4 * 9)


def test_a_file_follows_edits(client: httpx.Client, voxels: np.ndarray) -> None:
    with connect(f"{client.base_url}/ws/e::s::d/seg".replace("http", "ws")) as socket:
        socket.recv()
        socket.send(json.dumps({"action": "save", "merge": [["7", "9"]], "split": []}))
        assert json.loads(socket.recv())["error"] == ""
    merged = np.where(voxels == 9, 7, voxels)
    found = mesh(client, id=7)
    assert open_edges([Surface(found.vertices, found.faces)]) == 0
    assert found.bounds.tolist() == bounds(merged, 7)
    alone = mesh(client, id=7, labels="supervoxels")
    assert alone.bounds.tolist() == bounds(voxels, 7)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ({"id": 77}, 404, "There is no segment 77 in"),
        ({"id": 0}, 400, "The id 0 is not from 1 to"),
        ({}, 400, "The id None is not an integer"),
        ({"id": 7, "format": "vtk"}, 400, "The format vtk is not in ['obj', 'ply', 'stl', 'glb']"),
        ({"id": 7, "mip": 20}, 404, "There is no mip 20 of"),
        ({"id": 9, "mip": 2}, 404, "has no voxels at mip 2; ask for a finer one"),
        ({"id": 7, "channel": "em"}, 400, "is an image; only a segmentation has segments"),
    ],
)
def test_what_is_wrong_is_said(
    client: httpx.Client, words: dict[str, object], status: int, said: str
) -> None:
    answer = client.get("/api/mesh", params={**AT, **words})
    assert answer.status_code == status, answer.text
    assert said in answer.text


@pytest.mark.parametrize(
    ("limit", "most", "said"),
    [
        # As many as a cube of its 715,000 voxels has: known in advance.
        ("MOST_TRIANGLES", 20_000, "has at least 95928 triangles in 8 cells at mip 0"),
        # More than its least number, fewer than it has.
        ("MOST_TRIANGLES", 100_000, "has more than 100000 triangles at mip 0; at most 100000"),
        ("MOST_CELLS", 3, "cells at mip 0"),
    ],
)
def test_a_file_that_is_too_large_is_refused_with_a_mip_that_is_not(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, said: str
) -> None:
    monkeypatch.setattr(mesh_files, limit, most)
    answer = client.get("/api/mesh", params={**AT, "id": 7})
    assert answer.status_code == 413, answer.text[:200]
    assert said in answer.text
    coarser = answer.text.partition("Ask for mip=")[2].partition(".")[0]
    assert client.get("/api/mesh", params={**AT, "id": 7, "mip": coarser}).status_code == 200
