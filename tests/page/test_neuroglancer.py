"""The bundled Neuroglancer shows what Butterfly serves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest

from bfly.config.config import Config
from bfly.testing.tissue import make_tissue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Any]
) -> Iterator[httpx.Client]:
    folder = make_tissue(str(tmp_path_factory.mktemp("page") / "bfly-demo"), (56, 224, 224))
    channels = [{"name": name, "path": f"{folder}/{name}.h5"} for name in ("em", "segmentation")]
    dataset = {"name": "dat", "path": folder, "channels": channels}
    experiments = [{"name": "exp", "samples": [{"name": "sam", "datasets": [dataset]}]}]
    with serve(Config.parse({"bfly": {"experiments": experiments}}, "page.yaml")) as client:
        yield client


def state(client: httpx.Client, *layers: dict[str, Any]) -> str:
    """Return the address of Neuroglancer with layers over the middle section."""
    root = f"precomputed://{client.base_url}/pre/exp/sam/dat"
    words = {
        "dimensions": {axis: [8e-9, "m"] for axis in "xyz"},
        "position": [112, 112, 28],
        "crossSectionScale": 0.4,
        "layers": [{**layer, "source": f"{root}/{layer['name']}"} for layer in layers],
        "layout": "xy",
        "showAxisLines": False,
    }
    return f"{client.base_url}/ng/#!{quote(json.dumps(words))}"


def middle(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels in the middle of the window."""
    height, width, _ = pixels.shape
    return pixels[height // 2 - 200 : height // 2 + 200, width // 2 - 200 : width // 2 + 200]


EM = {"name": "em", "type": "image"}
LABELS = {"name": "segmentation", "type": "segmentation"}


def test_em_is_shown_as_it_is(demo, in_neuroglancer) -> None:
    shown = middle(in_neuroglancer(state(demo, EM)))
    assert np.ptp(shown.astype(int), axis=2).max() == 0
    served = demo.get("/api/data", params={**AT, "channel": "em"}).content
    levels = np.frombuffer(served, np.uint8)
    assert shown.min() < np.percentile(levels, 5)
    assert abs(int(np.median(shown)) - int(np.median(levels))) < 8


AT = {
    "experiment": "exp",
    "sample": "sam",
    "dataset": "dat",
    "format": "raw",
    **{"x": 32, "y": 32, "z": 28, "width": 160, "height": 160},
}


def test_labels_are_coloured_over_em(demo, in_neuroglancer) -> None:
    grey = middle(in_neuroglancer(state(demo, EM))).astype(int)
    both = middle(in_neuroglancer(state(demo, EM, LABELS))).astype(int)
    coloured = np.ptp(both, axis=2) > 20
    assert coloured.mean() > 0.9
    served = demo.get("/api/data", params={**AT, "channel": "segmentation"}).content
    segments = len(np.unique(np.frombuffer(served, np.uint64)))
    assert segments > 5
    differing = both[coloured] - grey[coloured]
    assert len(np.unique(differing // 24, axis=0)) >= segments
