"""A server for the pages: the demo, FIB-25 if it is available, and a broken channel."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.config.config import Config
from bfly.testing.tissue import make_tissue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


@dataclass
class Site:
    """A server, and what one of its datasets holds."""

    client: httpx.Client
    token: str
    em: str
    labels: str
    segments: np.ndarray
    synapses: list[tuple[int, int, int, int, int]]
    """Synthetic: pre, post, z, y, x, each where two segments touch."""

    @property
    def root(self) -> str:
        """Its address, without a slash at the end."""
        return str(self.client.base_url).rstrip("/")

    @property
    def busiest(self) -> int:
        """The neuron with the most synapses."""
        ids, counts = np.unique([row[:2] for row in self.synapses], return_counts=True)
        return int(ids[counts.argmax()])


def synapses_of(labels: np.ndarray, count: int) -> list[tuple[int, int, int, int, int]]:
    """Put synapses where two segments touch, the same each time."""
    random = np.random.default_rng(0)
    touching = (
        (labels[..., 1:] != labels[..., :-1]) & (labels[..., 1:] > 0) & (labels[..., :-1] > 0)
    )
    places = np.argwhere(touching)
    places = places[random.choice(len(places), count, replace=False)]
    return [
        (int(labels[z, y, x]), int(labels[z, y, x + 1]), z, y, x) for z, y, x in places.tolist()
    ]


def dataset(
    folder: Path, labels: np.ndarray, count: int, channels: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[tuple[int, int, int, int, int]]]:
    """Return the configuration of a dataset with synapses, and the synapses."""
    rows = synapses_of(labels, count)
    with open(folder / "synapses.csv", "w", newline="") as file:
        csv.writer(file).writerows([("pre", "post", "z", "y", "x"), *rows])
    synapses = {"path": str(folder / "synapses.csv"), "units": "voxel"}
    return {"path": str(folder), "synapses": synapses, "channels": channels}, rows


@pytest.fixture(scope="package")
def demo_site(
    tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Any]
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    make_tissue(str(folder), (56, 224, 224))
    with h5py.File(folder / "segmentation.h5") as file:
        labels = file["main"][:]
    channels: list[dict[str, Any]] = [
        {"name": f"{name}.h5", "path": str(folder / f"{name}.h5"), "voxel_size": [8, 8, 8]}
        for name in ("em", "segmentation", "supervoxels")
    ]
    channels[0]["short-description"] = "Synthetic tissue"
    channels.append({"name": "lost.h5", "path": str(folder / "lost.h5")})
    words, rows = dataset(folder, labels, 300, channels)
    with served(serve, folder, {"name": "demo", **words}) as client:
        yield Site(client, "exp/sam/demo", "em.h5", "segmentation.h5", labels, rows)


@pytest.fixture(scope="package")
def fib25_site(
    fib25: Path, tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Any]
) -> Iterator[Site]:
    """Real EM and the bodies in it; the synapses are synthetic, for FIB-25 has none."""
    folder = tmp_path_factory.mktemp("site")
    with h5py.File(fib25 / "groundtruth.h5") as file:
        table = np.zeros(int(file["stack"][:].max()) + 1, "u4")
        supervoxels, bodies = file["transforms"][:].T
        table[supervoxels] = bodies
        labels = table[file["stack"][:]]
    with h5py.File(folder / "bodies.h5", "w") as file:
        file.create_dataset("main", data=labels, chunks=(64, 64, 64), compression="gzip")
    channels = [
        {"name": "grayscale", "path": str(fib25 / "grayscale"), "voxel_size": [10, 10, 10]},
        {"name": "bodies", "path": str(folder / "bodies.h5"), "voxel_size": [10, 10, 10]},
    ]
    words, rows = dataset(folder, labels, 2000, channels)
    with served(serve, folder, {"name": "cube", **words}) as client:
        yield Site(client, "exp/sam/cube", "grayscale", "bodies", labels, rows)


def served(serve: Callable[..., Any], folder: Path, words: dict[str, Any]) -> Any:
    experiments = [{"name": "exp", "samples": [{"name": "sam", "datasets": [words]}]}]
    settings = {"db-path": str(folder / "bfly.db"), "experiments": experiments}
    return serve(Config.parse({"bfly": settings}, "site.yaml"))


@pytest.fixture(params=["demo_site", "fib25_site"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each server."""
    found: Site = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def axe() -> str:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed ('npm ci' in web/ does it)")
    return AXE.read_text()


def faults(tab: Page, axe: str, within: str = "html") -> list[str]:
    """Return the serious faults of accessibility in a part of the page, a CSS selector."""
    tab.evaluate(axe)
    run = "(within) => axe.run(within).then(({violations}) => violations)"
    found: list[dict[str, Any]] = tab.evaluate(run, within)
    return [
        f"{one['id']}: {one['help']} {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
