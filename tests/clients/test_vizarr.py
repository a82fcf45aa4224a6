"""Vizarr shows images of both versions of OME-Zarr in Chromium, in their contrast."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest

from bfly.encoders.contrast import stretched
from tests.fixtures.javascript import node_with
from tests.fixtures.zarr_versions import both

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.fixtures.channels import Channel


PAGE = """<!doctype html><html><body style="margin: 0">
<div id="app" style="height: 800px" data-incoming='{incoming}'></div>
<script type="module" src="/index.js"></script></body></html>"""
"""A page as Galaxy makes it, for which this package has Vizarr in one file."""


MARGIN = 50
"""Pixels of the window that Vizarr leaves around an image."""

ROUNDED = 1
"""Levels of grey by which a pixel may differ."""


@pytest.fixture
def may_be_absent() -> tuple[str, ...]:
    """What Vizarr looks for to tell versions apart, and parts of it that are in its one file."""
    return (".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json", ".js", "favicon.ico")


@pytest.fixture(scope="session")
def vizarr(pytestconfig: pytest.Config) -> Path:
    folder = node_with(pytestconfig, "@galaxyproject/vizarr@0.1.8", bare=True)
    return folder / "package" / "static"


@contextmanager
def page_of(vizarr: Path, folder: Path, source: str) -> Iterator[str]:
    """Serve the page of Vizarr, and yield its address; a browser lets no other read from here."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            pass

        def send_error(self, code: int, *words: Any) -> None:
            super().send_error(code, "Not Found")

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        incoming = json.dumps({"root": address, "visualization_config": {"dataset_id": "1"}})
        dataset = {"state": "deferred", "sources": [{"source_uri": source}], "name": "em"}
        (folder / "index.html").write_text(PAGE.format(incoming=incoming))
        (folder / "index.js").write_bytes((vizarr / "index.js").read_bytes())
        (folder / "api" / "datasets").mkdir(parents=True)
        (folder / "api" / "datasets" / "1").write_text(json.dumps(dataset))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield address
        server.shutdown()
        thread.join()


@both
@pytest.mark.reads("Vizarr", "{prefix}")
def test_vizarr_shows_a_section_in_its_contrast(
    em: Channel, vizarr: Path, tab: Page, prefix: str, tmp_path: Path
) -> None:
    attributes = em.client.get(f"{em.url('zarr')}/.zattrs").json()
    window = attributes["omero"]["channels"][0]["window"]
    expected = stretched(em.voxels[0], window["start"], window["end"]).astype(float)
    # A decoder of JPEG 2000, which the bundle imports from elsewhere and does not need here.
    decoder = "export class JpxImage {}"
    tab.route(
        "**/jpx.js", lambda route: route.fulfill(body=decoder, content_type="text/javascript")
    )
    with page_of(vizarr, tmp_path, em.url(prefix)) as address:
        tab.goto(address)
        tab.get_by_text(em.name).wait_for(timeout=60_000)
        for _ in range(60):
            found = pixels_of_voxels(tab, em.voxels.shape[1:])
            if np.abs(found - expected).max() <= ROUNDED:
                break
            tab.wait_for_timeout(1000)
    assert np.abs(found - expected).max() <= ROUNDED


def pixels_of_voxels(tab: Page, shape: tuple[int, ...]) -> np.ndarray:
    """Return the grey level in the middle of each voxel of a section, which fills the window."""
    pixels = imagecodecs.png_decode(tab.screenshot())[..., 0].astype(float)
    zoom = min((side - 2 * MARGIN) / n for side, n in zip(pixels.shape, shape, strict=True))
    y, x = (
        (side / 2 + zoom * (np.arange(n) + 0.5 - n / 2)).astype(int)
        for side, n in zip(pixels.shape, shape, strict=True)
    )
    return pixels[np.ix_(y, x)]
