"""The code snippets of a channel run as they are copied."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.page.conftest import Site

OPENSEADRAGON = (
    Path(__file__).parents[2]
    / "web/node_modules/openseadragon/build/openseadragon/openseadragon.min.js"
)

SHAPES = {
    "CloudVolume": "(64, 64, 8, 1)",
    "TensorStore": "(64, 64, 8)",
    "zarr-python": "(8, 64, 64)",
    "dask": "(8, 64, 64)",
    "intern": "(8, 64, 64)",
}


@pytest.fixture
def may_be_absent() -> tuple[str, ...]:
    """What a browser looks for beside what is no page."""
    return ("/favicon.ico",)


def copied(tab: Page, site: Site, channel: str, title: str) -> str:
    """Return the text that the button copies."""
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto(f"{site.root}/#channel={site.token}/{channel}")
    tab.get_by_role("tab", name=title).click()
    tab.locator(".snippet").get_by_role("button", name="Copy").click()
    expect(tab.get_by_role("button", name="Copied")).to_be_visible()
    text: str = tab.evaluate("navigator.clipboard.readText()")
    return text


@pytest.mark.parametrize("channel", ["em.h5", "segmentation.h5"])
@pytest.mark.parametrize("title", SHAPES)
def test_python(tab: Page, demo_site: Site, tmp_path: Path, channel: str, title: str) -> None:
    code = copied(tab, demo_site, channel, title)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    dtype = "uint8" if channel == "em.h5" else "uint64"
    assert done.stdout.splitlines()[-1] == f"{SHAPES[title]} {dtype}"


def test_curl(tab: Page, demo_site: Site, tmp_path: Path) -> None:
    code = copied(tab, demo_site, "em.h5", "curl")
    subprocess.run(["sh", "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "section.png").read_bytes().startswith(b"\x89PNG")


def test_openseadragon(tab: Page, demo_site: Site) -> None:
    if not OPENSEADRAGON.is_file():
        pytest.skip("openseadragon is not installed ('npm ci' in web/ does it)")
    code = copied(tab, demo_site, "em.h5", "OpenSeadragon")
    tab.goto(f"{demo_site.root}/healthz")
    tab.set_content('<div id="viewer" style="width: 400px; height: 400px"></div>')
    tab.add_script_tag(path=OPENSEADRAGON)
    tab.evaluate(f"window.shown = {code}")
    tab.wait_for_function("shown.world.getItemCount() && shown.world.getItemAt(0).getFullyLoaded()")
    size = tab.evaluate("shown.world.getItemAt(0).getContentSize()")
    assert [size["x"], size["y"]] == list(demo_site.segments.shape[:0:-1])


def test_addresses(tab: Page, demo_site: Site) -> None:
    from cloudvolume import CloudVolume

    for address in copied(tab, demo_site, "segmentation.h5", "Addresses").split():
        if "/v1/cutout/" in address:
            got = demo_site.client.get(address)
            assert got.status_code == 200
        elif not address.startswith("n5"):
            volume = CloudVolume(address, progress=False)
            found = np.asarray(volume[:10, :10, :10])[..., 0].T
            assert np.array_equal(found, demo_site.segments[:10, :10, :10])
        else:
            assert re.fullmatch(r"n5://http://.*/n5/exp/sam/demo/segmentation\.h5", address)
