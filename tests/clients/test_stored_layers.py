"""Clients read the meshes, skeletons and annotations that are stored with a volume."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import cloudvolume
import numpy as np
import pytest

from tests.fixtures.cloudvolume_folder import (
    ANNOTATIONS,
    MESHES,
    SKELETONS,
    CloudVolumeFolder,
    write,
)
from tests.fixtures.environments import python_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from playwright.sync_api import Page, Response

# CloudVolume warns of things of its own.
pytestmark = pytest.mark.filterwarnings("ignore")

VARIANTS = [("mesh", "skeletons"), ("mesh_multires", "skeletons"), (MESHES[2], SKELETONS[1])]


@dataclass
class Stored:
    """A served volume, and what is stored with it."""

    client: httpx.Client
    made: CloudVolumeFolder
    mesh: str

    @property
    def url(self) -> str:
        """Address of the volume."""
        return f"{self.client.base_url}".rstrip("/") + "/pre/exp::sam::dat/" + self.made.path.name


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CloudVolumeFolder]:
    """A volume for each way to store meshes, by the name of their folder."""
    folder = tmp_path_factory.mktemp("layers")
    return {mesh: write(folder / mesh, mesh, skeletons) for mesh, skeletons in VARIANTS}


@pytest.fixture(scope="module")
def client(volumes: dict[str, CloudVolumeFolder], serve, make_tree) -> Iterator[httpx.Client]:
    channels = [{"name": name, "path": str(made.path)} for name, made in volumes.items()]
    with serve(make_tree(*channels)) as client:
        yield client


@pytest.fixture(params=VARIANTS, ids=lambda names: names[0])
def stored(
    request: pytest.FixtureRequest, client: httpx.Client, volumes: dict[str, CloudVolumeFolder]
) -> Stored:
    mesh, _ = request.param
    return Stored(client, volumes[mesh], mesh)


def ordered(vertices: Any) -> list[list[float]]:
    return sorted(np.asarray(vertices, float).round(3).tolist())


@pytest.mark.reads("CloudVolume meshes", "precomputed stored")
def test_cloudvolume_reads_meshes(stored: Stored) -> None:
    volume = cloudvolume.CloudVolume(f"precomputed://{stored.url}", progress=False)
    assert np.array_equal(np.asarray(volume[:, :, :])[..., 0].T, stored.made.voxels)
    for label, (vertices, faces) in stored.made.meshes.items():
        for level in range(1 if stored.mesh == "mesh" else 2):
            found = volume.mesh.get(label, **({"lod": level} if stored.mesh != "mesh" else {}))
            mesh = found[label] if isinstance(found, dict) else found
            assert ordered(mesh.vertices) == ordered(vertices)
            corners = np.asarray(mesh.vertices)[mesh.faces]
            assert sorted(map(ordered, corners)) == sorted(map(ordered, vertices[faces]))


@pytest.mark.reads("CloudVolume skeletons", "precomputed stored")
def test_cloudvolume_reads_skeletons(stored: Stored) -> None:
    volume = cloudvolume.CloudVolume(f"precomputed://{stored.url}", progress=False)
    for label, (vertices, edges, radii) in stored.made.skeletons.items():
        found = volume.skeleton.get(label)
        np.testing.assert_array_equal(found.vertices, vertices)
        np.testing.assert_array_equal(found.edges, edges)
        np.testing.assert_array_equal(found.radius, radii)


@pytest.mark.reads("CloudVolume annotations", "precomputed stored")
@pytest.mark.parametrize("folder", ANNOTATIONS)
@pytest.mark.parametrize("stored", VARIANTS[:1], indirect=True)
def test_cloudvolume_reads_annotations(stored: Stored, folder: str) -> None:
    source = cloudvolume.from_cloudpath(f"precomputed://{stored.url}/{folder}")
    points = stored.made.points
    everything = source.get_all()
    assert sorted(everything.ids.tolist()) == sorted(points)
    for number, place, score in zip(
        everything.ids.tolist(), everything.geometry, everything.properties["score"], strict=True
    ):
        assert (tuple(place), score) == points[number][:2]
    for number, (place, score, label) in points.items():
        one = source.get_by_id(number)
        assert tuple(one.geometry[0]) == place
        assert one.properties["score"] == score
        assert one.relationships["segment"].tolist() == [label]
        assert source.get_by_relationship("segment", label).ids.tolist() == [number]


SHOWN = {
    "mesh": ["mesh/3:0", "mesh/3:0:0-64_0-48_0-32", "skeletons/3"],
    "mesh_multires": ["mesh_multires/3.index", "mesh_multires/3", "skeletons/3"],
    MESHES[2]: [f"{MESHES[2]}/1.shard", f"{SKELETONS[1]}/1.shard"],
}
"""Files that Neuroglancer has to ask for to show the segment 3."""


def in_colour(pixels: np.ndarray) -> int:
    """Count pixels that are not grey: of segments, and some of the page itself."""
    return int((np.ptp(pixels[100:].astype(int), axis=2) > 60).sum())


def in_magenta(pixels: np.ndarray) -> int:
    red, green, blue = np.moveaxis(pixels[100:].astype(int), 2, 0)
    return int(((red > 180) & (blue > 180) & (green < 90)).sum())


@pytest.fixture
def may_be_absent() -> tuple[str, ...]:
    """Neuroglancer looks for the shards of segments that are in none."""
    return (".shard",)


def state(client: httpx.Client, layer: dict[str, Any], **words: Any) -> str:
    """Return the address of Neuroglancer with a layer, which sees the middle of the volume."""
    words = {
        "dimensions": {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]},
        "position": [42, 44, 21],
        "layers": [layer],
        "showAxisLines": False,
        "showDefaultAnnotations": False,
        **words,
    }
    return f"{str(client.base_url).rstrip('/')}/ng/#!{quote(json.dumps(words))}"


@pytest.mark.reads("Neuroglancer meshes and skeletons", "precomputed stored")
def test_neuroglancer_shows_meshes_and_skeletons(
    stored: Stored, tab: Page, in_neuroglancer: Callable[..., np.ndarray]
) -> None:
    def shown(*segments: str) -> int:
        layer = {
            "type": "segmentation",
            "name": "seg",
            "source": f"precomputed://{stored.url}",
            "segments": segments,
        }
        words = {"layout": "3d", "showSlices": False, "projectionScale": 200}
        tab.goto("about:blank")
        return in_colour(in_neuroglancer(state(stored.client, layer, **words)))

    answers: list[Response] = []
    tab.on("response", lambda answer: answers.append(answer))
    nothing = shown()
    assert shown("3", str(2**40 + 7)) > nothing + 2000
    statuses = {answer.url.removeprefix(f"{stored.url}/"): answer.status for answer in answers}
    for name in SHOWN[stored.mesh]:
        assert statuses.get(name) in (200, 206), (name, statuses)


@pytest.mark.reads("Neuroglancer annotations", "precomputed stored")
@pytest.mark.parametrize("folder", ANNOTATIONS)
@pytest.mark.parametrize("stored", VARIANTS[:1], indirect=True)
def test_neuroglancer_shows_annotations(
    stored: Stored, folder: str, tab: Page, in_neuroglancer: Callable[..., np.ndarray]
) -> None:
    def shown(place: tuple[float, ...]) -> int:
        layer = {
            "type": "annotation",
            "name": "points",
            "source": f"precomputed://{stored.url}/{folder}",
            "annotationColor": "#ff00ff",
            "shader": "void main() { setColor(defaultColor()); setPointMarkerSize(30.0); }",
        }
        words = {"layout": "xy", "position": place, "crossSectionScale": 0.1}
        tab.goto("about:blank")
        return in_magenta(in_neuroglancer(state(stored.client, layer, **words)))

    place = stored.made.points[101][0]
    assert shown(place) > 200
    assert shown((place[0], place[1], place[2] + 10)) == 0


NAVIS = """
import json, sys
import navis

url, label, fragment = json.load(sys.stdin)
skeleton = navis.read_precomputed(f"{url}/skeletons/{label}", datatype="skeleton")
mesh = navis.read_precomputed(f"{url}/mesh/{fragment}", datatype="mesh")
json.dump({
    "nodes": skeleton.nodes[["x", "y", "z"]].values.tolist(),
    "radii": skeleton.nodes["radius"].tolist(),
    "edges": skeleton.edges.tolist(),
    "vertices": mesh.vertices.tolist(),
    "faces": mesh.faces.tolist(),
}, sys.stdout)
"""


@pytest.mark.reads("navis", "precomputed stored")
@pytest.mark.parametrize("stored", VARIANTS[:1], indirect=True)
def test_navis_reads_skeletons_and_meshes(stored: Stored, pytestconfig: pytest.Config) -> None:
    """navis is GPL-3, so it has an environment of its own."""
    python = python_with(pytestconfig, "navis==1.12.0", alone=True)
    label = 2**40 + 7
    done = subprocess.run(
        [python, "-W", "ignore", "-c", NAVIS],
        input=json.dumps([stored.url, label, f"{label}:0:0-64_0-48_0-32"]),
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    vertices, edges, radii = stored.made.skeletons[label]
    assert ordered(found["nodes"]) == ordered(vertices)
    assert sorted(found["radii"]) == sorted(radii.tolist())
    assert len(found["edges"]) == len(edges)
    assert found["vertices"] == stored.made.meshes[label][0].tolist()
    assert found["faces"] == stored.made.meshes[label][1].tolist()
