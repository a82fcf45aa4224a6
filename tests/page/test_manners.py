"""Pages with hostile names and many channels; keyboard, screen readers, phones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from playwright.sync_api import expect

from bfly.config.config import Config
from tests.page.conftest import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx
    from playwright.sync_api import Browser, Page

    from tests.page.conftest import Site

# Hostile names

HOSTILE = """<img src=x onerror="window.hacked=1">"'&{{7*7}}%3Cscript%3E|#?`"""


IMAGE = "a/b/<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Any]) -> Iterator[Any]:
    """A server on which all names are HTML, and one channel is broken."""
    folder = tmp_path_factory.mktemp("hostile") / "<b onmouseover=alert(1)>"
    folder.mkdir()
    with h5py.File(folder / "v.h5", "w") as file:
        file["main"] = np.arange(8 * 64 * 64, dtype="u4").reshape(8, 64, 64)
    description = {"short-description": HOSTILE}
    channels = [
        {"name": HOSTILE, "path": str(folder / "v.h5"), **description},
        {"name": f"{HOSTILE} 2", "path": str(folder / "<script>window.hacked=1<!--")},
    ]
    dataset = {"name": HOSTILE, "path": str(folder), "channels": channels}
    experiments = [{"name": HOSTILE, "samples": [{"name": HOSTILE, "datasets": [dataset]}]}]
    with serve(Config.parse({"bfly": {"experiments": experiments}}, "hostile.yaml")) as client:
        yield client


def is_harmless(tab: Page) -> None:
    assert tab.evaluate("window.hacked") is None
    assert tab.locator("img[src=x], b, main script, dialog script").count() == 0


def test_names_are_text_on_the_index_and_in_the_sheet(tab: Page, hostile: httpx.Client) -> None:
    tab.goto(str(hostile.base_url))
    expect(tab.locator(".card h3").first).to_have_text(HOSTILE)
    expect(tab.locator(".card").nth(1)).to_contain_text(
        "<script>window.hacked=1<!-- does not exist"
    )
    expect(tab.locator(".card").first).to_contain_text("64 × 64 × 8")
    is_harmless(tab)
    tab.locator(".card h3 button").first.click()
    expect(tab.get_by_role("heading", level=2, name=HOSTILE).last).to_be_visible()
    for title in tab.get_by_role("tab").all():
        title.click()
        expect(tab.locator(".snippet code")).not_to_be_empty()
    is_harmless(tab)
    tab.reload()
    expect(tab.get_by_role("dialog")).to_contain_text(HOSTILE)
    is_harmless(tab)


def test_names_are_text_in_the_section_viewer(tab: Page, hostile: httpx.Client) -> None:
    tab.goto(str(hostile.base_url))
    tab.get_by_role("link", name="Sections of").first.click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    expect(tab.locator("#picture")).to_have_attribute("data-shown", "4")
    is_harmless(tab)


def test_names_are_text_in_neuroglancer(tab: Page, hostile, in_neuroglancer) -> None:
    tab.goto(str(hostile.base_url))
    address = tab.get_by_role("link", name="in Neuroglancer").first.get_attribute("href")
    in_neuroglancer(address)
    assert tab.evaluate("viewer.layerManager.managedLayers.map(({name}) => name)") == [HOSTILE]
    assert tab.evaluate("window.hacked") is None


@pytest.mark.parametrize("may_be_absent", [("/%3Cb%3E",)], ids=["the channel"])
@pytest.mark.parametrize(
    "address",
    [
        f"/neuron?dataset={IMAGE}&id={IMAGE}",
        f"/sections?channel={IMAGE}/<b>",
        f"/?q={IMAGE}#channel={IMAGE}/<b>",
    ],
)
def test_addresses_are_text(
    tab: Page, hostile: httpx.Client, address: str, may_be_absent: tuple[str, ...]
) -> None:
    tab.goto(f"{hostile.base_url}{address}")
    tab.wait_for_load_state("networkidle")
    is_harmless(tab)
    assert hostile.get(address.partition("#")[0]).status_code == 200


# Many channels


def test_five_thousand_channels_are_opened_as_they_are_looked_at(
    tab: Page, tmp_path: Path, serve: Callable[..., Any]
) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["main"] = np.ones((8, 64, 64), "u1")
    datasets = [
        {
            "name": f"block-{block}",
            "path": str(tmp_path),
            "channels": [
                {"name": f"channel-{block}-{i}", "path": str(tmp_path / "v.h5")} for i in range(500)
            ],
        }
        for block in range(10)
    ]
    experiments = [{"name": "exp", "samples": [{"name": "sam", "datasets": datasets}]}]
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    with serve(Config.parse({"bfly": {"experiments": experiments}}, "many.yaml")) as client:
        tab.goto(str(client.base_url))
        expect(tab.locator("#found")).to_have_text("5,000 channels")
        expect(tab.locator(".card img").first).to_be_visible()
        tab.wait_for_load_state("networkidle")
        assert 0 < sum("/thumbnail" in address for address in asked) < 60
        tab.get_by_role("searchbox").fill("channel-7-123")
        expect(tab.locator(".card:visible h3")).to_have_text(["channel-7-123"])
        expect(tab.locator(".card:visible img")).to_be_visible()


# People


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_has_a_serious_fault(
    tab: Page, site: Site, axe: str, scheme: Any, width: int
) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 800})
    neuron = f"/neuron?dataset={site.token}"
    addresses = (
        "/",
        f"/#channel={site.token}/{site.em}",
        f"/#channel={site.token}/{site.labels}",
        f"/sections?channel={site.token}/{site.em}",
        neuron,
        f"{neuron}&id={site.busiest}",
    )
    for address in addresses:
        tab.goto("about:blank")
        tab.goto(f"{site.root}{address}")
        tab.wait_for_load_state("networkidle")
        assert faults(tab, axe) == [], address
        wider = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, f"{address} is wider than the window"


def test_the_keyboard_is_enough(tab: Page, demo_site: Site) -> None:
    tab.goto(demo_site.root)
    expect(tab.locator(".card img").first).to_be_visible()
    tab.keyboard.press("/")
    expect(tab.get_by_role("searchbox")).to_be_focused()
    for _ in range(20):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.textContent") == "em.h5":
            break
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("dialog")).to_be_visible()
    tab.get_by_role("tab", name="CloudVolume").focus()
    tab.keyboard.press("ArrowRight")
    expect(tab.get_by_role("tab", name="TensorStore")).to_be_focused()
    expect(tab.locator(".snippet code")).to_contain_text("import tensorstore")
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog")).to_be_hidden()
    assert tab.evaluate("document.activeElement.textContent") == "em.h5"


def test_a_phone_shows_one_column(tab: Page, demo_site: Site) -> None:
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.goto(demo_site.root)
    boxes = [card.bounding_box() for card in tab.locator(".card").all()]
    assert len({box["x"] for box in boxes if box}) == 1


def test_dark_and_light_differ(chromium: Browser, demo_site: Site) -> None:
    grounds = set()
    for scheme in ("dark", "light"):
        with chromium.new_context(color_scheme=scheme) as context:  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(demo_site.root)
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2
