"""Segments on the pages: their list, the page of one, and its picture in 3-D."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import h5py
import imagecodecs
import numpy as np
import pytest
from playwright.sync_api import expect

from bfly.config.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx
    from playwright.sync_api import Locator, Page, Route

    from tests.page.conftest import Site


def by_size(site: Site) -> list[tuple[str, int]]:
    """Return the ids of all segments and their voxels, the largest first."""
    ids, counts = np.unique(site.segments[site.segments > 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(str(ids[place]), int(counts[place])) for place in order.tolist()]


def sheet_of(tab: Page, site: Site) -> Locator:
    tab.goto(f"{site.root}/#channel={site.token}/{site.labels}")
    return tab.get_by_role("dialog").locator(".segments")


def shown(listed: Locator) -> list[str]:
    return listed.locator("tbody tr td:first-child").all_inner_texts()


def test_the_sheet_lists_the_largest_segments(tab: Page, site: Site) -> None:
    listed, expected = sheet_of(tab, site), by_size(site)
    sizes = dict(expected)
    expect(listed.get_by_role("status")).to_have_text("1 to 12, the largest first")
    first = shown(listed)
    assert [sizes[one] for one in first] == [size for _, size in expected[:12]]
    side = 8 if site.token.endswith("demo") else 10
    volume = listed.locator("tbody tr").first.locator("td").nth(1).inner_text()
    number, unit = volume.split()
    assert unit == "µm³"
    assert float(number) == pytest.approx(expected[0][1] * side**3 / 1e9, rel=0.01)
    listed.get_by_role("button", name="Smaller").click()
    expect(listed.get_by_role("status")).to_have_text(re.compile("^13 to"))
    assert [sizes[one] for one in shown(listed)] == [size for _, size in expected[12:24]]
    listed.get_by_role("button", name="Larger").click()
    expect(listed.get_by_role("status")).to_have_text(re.compile("^1 to"))
    assert shown(listed) == first


def test_segments_are_searched_as_one_types(tab: Page, demo_site: Site) -> None:
    listed, expected = sheet_of(tab, demo_site), by_size(demo_site)
    wanted = expected[20][0]
    listed.get_by_role("searchbox").fill(wanted)
    expect(listed.locator("tbody tr").first.locator("td").first).to_have_text(wanted)
    matching = [one for one, _ in expected if one.startswith(wanted)]
    assert sorted(shown(listed)) == sorted(matching[:12])
    listed.get_by_role("searchbox").fill("nothing like it")
    expect(listed.get_by_role("status")).to_have_text("No segment has such an id or name.")


def test_a_row_leads_to_the_page_and_into_neuroglancer(
    tab: Page, demo_site: Site, in_neuroglancer: Callable[..., np.ndarray]
) -> None:
    listed = sheet_of(tab, demo_site)
    row = listed.locator("tbody tr").first
    link = row.get_by_role("link", name="in Neuroglancer").get_attribute("href")
    chosen = row.locator("td").first.inner_text()
    row.get_by_role("link", name=chosen, exact=True).click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text(chosen)
    in_neuroglancer(link)
    state = tab.evaluate("viewer.state.toJSON()")
    segments = {layer["name"]: layer.get("segments") for layer in state["layers"]}
    assert segments[demo_site.labels] == [chosen]
    assert not state.get("showSlices", True)


def test_a_dataset_opens_with_its_largest_segments_in_3d(
    tab: Page, demo_site: Site, in_neuroglancer: Callable[..., np.ndarray]
) -> None:
    pixels = in_neuroglancer(f"{demo_site.root}/ng/?dataset={demo_site.token}").astype(int)
    state = tab.evaluate("viewer.state.toJSON()")
    segments = {layer["name"]: layer.get("segments") for layer in state["layers"]}
    sizes = dict(by_size(demo_site))
    largest = [size for _, size in by_size(demo_site)[:8]]
    assert sorted((sizes[one] for one in segments[demo_site.labels]), reverse=True) == largest
    height, width, _ = pixels.shape
    panel = pixels[height // 2 + 60 : -40, 40 : width // 2 - 40]
    assert (np.ptp(panel, axis=2) > 60).mean() > 0.05


def test_a_segment_is_drawn_and_turned(tab: Page, site: Site) -> None:
    chosen = by_size(site)[0][0]
    page = f"{site.root}/neuron?dataset={site.token}&channel={site.labels}&id={chosen}"
    tab.goto(page)
    view = tab.get_by_role("application")
    expect(view).to_have_attribute("data-shown", re.compile("[1-9][0-9]+"))

    def pixels() -> np.ndarray:
        return imagecodecs.png_decode(view.screenshot())[..., :3].astype(int)

    before = pixels()
    assert (np.ptp(before, axis=2) > 40).mean() > 0.02
    view.focus()
    for _ in range(4):
        tab.keyboard.press("ArrowLeft")
    assert (np.abs(pixels() - before).max(axis=2) > 30).mean() > 0.01
    tab.keyboard.press("0")
    assert np.abs(pixels() - before).mean() < 1
    box = view.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 100, box["y"] + 100)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 220, box["y"] + 140)
    tab.mouse.up()
    assert (np.abs(pixels() - before).max(axis=2) > 30).mean() > 0.01
    facts = tab.locator(".facts")
    expect(facts).to_contain_text(f"{by_size(site)[0][1]:,}")
    for method, kind in (("mesh", "obj"), ("mesh", "glb"), ("skeleton", "swc")):
        link = facts.get_by_role("link", name=f"{method} as {kind.upper()}").get_attribute("href")
        address = urlsplit(link or "")
        assert address.path == f"/api/{method}"
        words = {name: values[0] for name, values in parse_qs(address.query).items()}
        assert words["channel"] == site.labels
        assert (words["id"], words["format"]) == (chosen, kind)


def test_a_page_waits_for_the_index(tab: Page, demo_site: Site) -> None:
    answers = iter([503, 503, None, None])

    def busy(route: Route) -> None:
        if next(answers, None) is None:
            route.continue_()
        else:
            route.fulfill(status=503, body="The label index is being built: 41 % is done.")

    def facts(route: Route) -> None:
        answer = route.fetch()
        about = {**answer.json()}
        about["segments"] = {**about["segments"], "index": 41}
        route.fulfill(response=answer, body=json.dumps(about))

    tab.route("**/api/segments?*", busy)
    tab.route(f"**/browse/{demo_site.token}/{demo_site.labels}", facts)
    listed = sheet_of(tab, demo_site)
    expect(listed.get_by_role("status")).to_have_text(
        "The index of all segments is being built: 41 %"
    )
    expect(listed.get_by_role("status")).to_have_text("1 to 12, the largest first")


@pytest.fixture
def alone(tmp_path: Path, serve: Callable[..., object]) -> Iterator[httpx.Client]:
    """A segmentation without neurons, synapses or voxel size."""
    labels = np.zeros((20, 40, 40), "u4")
    labels[4:16, 8:30, 10:22] = 5
    labels[0:2, 0:9, 0:30] = 3
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = labels
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5"), "kind": "segmentation"}
    dataset = {"name": "d", "path": str(tmp_path), "channels": [channel]}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    config = Config.parse({"bfly": {"experiments": tree}}, "alone.yaml")
    with serve(config) as client:  # type: ignore[attr-defined]
        yield client


def test_a_segmentation_alone_has_pages_of_its_segments(tab: Page, alone: httpx.Client) -> None:
    tab.goto(f"{alone.base_url}/sections?channel=e/s/d/seg")
    tab.get_by_role("link", name="Segments").click()
    listed = tab.locator(".segments")
    expect(listed.locator("tbody tr")).to_have_count(2)
    assert shown(listed) == ["5", "3"]
    listed.get_by_role("link", name="5", exact=True).click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Segment 5")
    expect(tab.locator(".facts")).to_contain_text("12 × 22 × 12 voxels from 10, 8, 4")
    expect(tab.get_by_role("application")).to_have_attribute("data-shown", re.compile("[0-9]+"))
