"""An image of signed voxels is seen in its own levels, below and above 0."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import numpy as np
import pytest
from playwright.sync_api import expect

from bfly.config.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

AT = "exp/sam/dat/tomogram"


@pytest.fixture(scope="module")
def tomogram() -> np.ndarray:
    """Waves from -700 to 300 of the 65,536 levels."""
    z, y, x = np.indices((6, 256, 256))
    return (500 * np.sin(x / 20) * np.cos(y / 30 + z) - 200).astype("i2")


@pytest.fixture(scope="module")
def root(
    tomogram: np.ndarray, tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Any]
) -> Iterator[str]:
    path = tmp_path_factory.mktemp("signed") / "tomogram.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=tomogram, chunks=(1, 64, 64), compression="gzip")
    channel = {"name": "tomogram", "path": str(path), "kind": "image", "voxel_size": [8, 8, 8]}
    dataset = {"name": "dat", "path": str(path.parent), "channels": [channel]}
    experiments = [{"name": "exp", "samples": [{"name": "sam", "datasets": [dataset]}]}]
    with serve(Config.parse({"bfly": {"experiments": experiments}}, "page.yaml")) as client:
        yield str(client.base_url).rstrip("/")


def levels(shown: bytes) -> np.ndarray:
    """Return the grey levels around the middle of a picture."""
    pixels = imagecodecs.png_decode(shown)[..., :3].astype(int)
    height, width, _ = pixels.shape
    middle = pixels[height // 2 - 150 : height // 2 + 150, width // 2 - 150 : width // 2 + 150]
    assert np.ptp(middle, axis=2).max() == 0
    return middle[..., 0]


def test_sections(tab: Page, root: str, tomogram: np.ndarray) -> None:
    tab.goto(f"{root}/sections?channel={AT}")
    picture = tab.locator("#picture")
    expect(picture).to_have_attribute("data-shown", "3")
    tab.wait_for_timeout(300)
    assert levels(picture.screenshot()).std() > 40
    box = picture.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2 + 30)
    place = tab.locator("#place")
    expect(place).to_contain_text("level ")
    text = place.text_content()
    assert text is not None
    x, y, z, *_, level = map(int, re.findall(r"-?\d+", text))
    assert level == tomogram[z, y, x]


def test_neuroglancer(root: str, in_neuroglancer: Callable[[str], np.ndarray], tab: Page) -> None:
    in_neuroglancer(f"{root}/ng/?channel={AT}")
    tab.evaluate("viewer.layout.restoreState('xy'); viewer.showAxisLines.value = false")
    tab.wait_for_timeout(2000)
    assert levels(tab.screenshot()).std() > 40
    layer = tab.evaluate("JSON.parse(JSON.stringify(viewer.state.toJSON())).layers[0]")
    low, high = layer["shaderControls"]["normalized"]["range"]
    assert -700 <= low < -600
    assert 200 < high <= 300
