"""OpenSeadragon shows a section as a Deep Zoom image, pixel by pixel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest

from bfly.encoders.views import render

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.fixtures.channels import Channel

SCRIPT = (
    Path(__file__).parents[2]
    / "web/node_modules/openseadragon/build/openseadragon/openseadragon.min.js"
)

LOADED = "shown.world.getItemCount() && shown.world.getItemAt(0).getFullyLoaded()"

JPEG_ERROR = 40
"""Levels by which a pixel may differ after JPEG."""


@pytest.mark.reads("OpenSeadragon", "deepzoom")
@pytest.mark.parametrize(
    ("channel", "name"),
    [
        ("grayscale", "{z}.dzi"),
        ("grayscale", "{z}.jpg.dzi"),
        ("grayscale", "{z}.rgb.dzi"),
        ("groundtruth.h5", "{z}.dzi"),
    ],
    indirect=["channel"],
)
def test_openseadragon_has_the_pixels(channel: Channel, name: str, tab: Page) -> None:
    if not SCRIPT.is_file():
        pytest.skip("openseadragon is not installed ('npm ci' in web/ does it)")
    z = channel.voxels.shape[0] // 2
    height, width = channel.voxels.shape[1:]
    options = {
        "id": "viewer",
        "prefixUrl": "",
        "showNavigationControl": False,
        "crossOriginPolicy": "Anonymous",
        "drawer": "canvas",
        "imageSmoothingEnabled": False,
        "tileSources": f"{channel.url('tiles')}/{name.format(z=z)}",
    }
    tab.goto(f"{channel.client.base_url}/healthz")
    tab.set_content(f'<div id="viewer" style="width: {width}px; height: {height}px"></div>')
    tab.add_script_tag(path=SCRIPT)
    tab.evaluate(f"window.shown = OpenSeadragon({json.dumps(options)})")
    tab.wait_for_function(LOADED, timeout=60_000)
    tab.wait_for_timeout(1000)
    pixels = imagecodecs.png_decode(tab.locator("#viewer").screenshot())[..., :3]
    view = "rgb" if channel.kind == "image" else "colormap"
    expected = render(channel.voxels[z], view, channel.kind)
    # It may draw a pixel beside its place, since it scales by a hair.
    around = np.pad(expected, [(1, 1), (1, 1), (0, 0)], mode="edge")
    moved = [
        np.abs(np.subtract(pixels, around[y : y + height, x : x + width], dtype=int)).max(axis=2)
        for y in range(3)
        for x in range(3)
    ]
    assert np.min(moved, axis=0).max() <= (JPEG_ERROR if "jpg" in name else 0)
