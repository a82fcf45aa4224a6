"""The pages in a browser, with the demo and with FIB-25."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import imagecodecs
import numpy as np
import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.page.conftest import Site

ABSENT = 999_999_999
"""Neither a neuron nor a segment."""

YELLOW = np.array([0xFF, 0xD5, 0x4A])
"""What synapses are drawn in."""


@pytest.fixture
def may_be_absent() -> tuple[str, ...]:
    """The neuron that is not there."""
    return (f"ids={ABSENT}", f"mesh/{ABSENT}:0")


def pixels(shown: Page | Locator) -> np.ndarray:
    return imagecodecs.png_decode(shown.screenshot())[..., :3].astype(int)


def yellow(shown: np.ndarray) -> int:
    return int((np.abs(shown - YELLOW).max(axis=2) < 12).sum())


def layers(tab: Page) -> dict[str, str]:
    found: dict[str, str] = tab.evaluate(
        "Object.fromEntries(viewer.state.toJSON().layers.map(({name, type}) => [name, type]))"
    )
    return found


# The index


def assert_thumbnail(card: Locator, coloured: bool) -> None:
    """See a picture with something in it: EM in grey, labels in colours."""
    picture = card.locator("img")
    expect(picture).to_be_visible()
    picture.evaluate("picture => picture.decode()")
    middle = pixels(picture)[40:-10, 60:-10]
    assert middle.std() > 20
    assert (np.ptp(middle, axis=2).mean() > 40) == coloured


def test_the_index_tells_what_there_is(tab: Page, demo_site: Site) -> None:
    tab.goto(demo_site.root)
    section = tab.get_by_role("region", name="Dataset demo")
    neurons = len(np.unique([row[:2] for row in demo_site.synapses]))
    expect(section).to_contain_text(f"{neurons} neurons · 300 synapses")
    em = section.get_by_role("listitem").filter(has_text="em.h5")
    expect(em).to_contain_text("Synthetic tissue")
    expect(em).to_contain_text("image · uint8 · hdf5")
    expect(em).to_contain_text("224 × 224 × 56 voxels (x, y, z)")
    expect(em).to_contain_text("voxel 8 × 8 × 8 nm")
    expect(em).to_contain_text("1.79 × 1.79 × 0.448 µm")
    lost = section.get_by_role("listitem").filter(has_text="lost.h5")
    expect(lost).to_contain_text("lost.h5 does not exist.")
    for card, coloured in ((em, False), (section.get_by_role("listitem").nth(1), True)):
        assert_thumbnail(card, coloured)


def test_the_index_shows_real_em_and_its_bodies(tab: Page, fib25_site: Site) -> None:
    tab.goto(fib25_site.root)
    section = tab.get_by_role("region", name="Dataset cube")
    expect(section).to_contain_text("2,000 synapses")
    cards = section.get_by_role("listitem")
    expect(cards.nth(0)).to_contain_text("image · uint8 · stack")
    expect(cards.nth(1)).to_contain_text("segmentation · uint32 · hdf5")
    for card, coloured in ((cards.nth(0), False), (cards.nth(1), True)):
        expect(card).to_contain_text("250 × 250 × 250")
        expect(card).to_contain_text("voxel 10 × 10 × 10 nm")
        assert_thumbnail(card, coloured)
    tab.get_by_role("searchbox").fill("gray")
    expect(tab.locator("#found")).to_have_text("1 of 2 channels")
    expect(tab.locator(".card:visible h3")).to_have_text(["grayscale"])


def test_search_as_you_type(tab: Page, demo_site: Site) -> None:
    tab.goto(demo_site.root)
    expect(tab.locator("#found")).to_have_text("4 channels")
    tab.keyboard.press("/")
    tab.keyboard.type("SYNTH tissue")
    expect(tab.locator("#found")).to_have_text("1 of 4 channels")
    expect(tab.locator(".card:visible h3")).to_have_text(["em.h5"])
    tab.reload()
    expect(tab.locator(".card:visible h3")).to_have_text(["em.h5"])
    tab.get_by_role("searchbox").fill("nothing like it")
    expect(tab.get_by_text("No channel has these words.")).to_be_visible()
    tab.get_by_role("searchbox").press("Escape")
    expect(tab.locator(".card:visible")).to_have_count(4)


def test_chosen_channels_open_together(tab: Page, demo_site: Site, in_neuroglancer) -> None:
    tab.goto(demo_site.root)
    for name in ("em.h5", "supervoxels.h5"):
        tab.get_by_role("checkbox", name=f"Choose {name}").check()
    expect(tab.locator("#chosen-count")).to_have_text("2 channels chosen")
    address = tab.locator("#chosen-open").get_attribute("href")
    in_neuroglancer(address)
    assert layers(tab) == {
        "em.h5": "image",
        "supervoxels.h5": "segmentation",
        "synapses": "annotation",
    }


# Neuroglancer


def test_one_click_shows_em_segments_and_synapses(tab: Page, site: Site, in_neuroglancer) -> None:
    tab.goto(site.root)
    tab.get_by_role("link", name="Open in Neuroglancer", exact=True).first.click()
    shown = in_neuroglancer(tab.url)
    found = layers(tab)
    assert found[site.em] == "image"
    assert found[site.labels] == "segmentation"
    assert found["synapses"] == "annotation"
    section = shown[60:400, 20:560].astype(int)
    assert (np.ptp(section, axis=2) > 25).mean() > 0.6
    assert section.std(axis=(0, 1)).min() > 15
    assert yellow(shown) > 200
    state = tab.evaluate("viewer.state.toJSON()")
    size = 8e-9 if site.token.endswith("demo") else 1e-8
    assert state["dimensions"]["x"] == [size, "m"]
    low, high = state["layers"][0]["shaderControls"]["normalized"]["range"]
    assert 0 < low < high < 256


def test_a_neuron_is_chosen_and_its_synapses_are_shown(
    tab: Page, site: Site, in_neuroglancer
) -> None:
    everything = yellow(in_neuroglancer(f"{site.root}/ng/?dataset={quote(site.token)}"))
    neuron = site.busiest
    tab.goto(f"{site.root}/neuron?dataset={site.token}&id={neuron}")
    address = tab.get_by_role("link", name="Open in Neuroglancer").get_attribute("href")
    own = yellow(in_neuroglancer(address))
    assert 0 < own < everything
    state = tab.evaluate("viewer.state.toJSON()")
    chosen = {layer["name"]: layer.get("segments") for layer in state["layers"]}
    assert chosen[site.labels] == [str(neuron)]


def test_a_channel_is_shown_as_the_other_kind(tab: Page, demo_site: Site, in_neuroglancer) -> None:
    tab.goto(f"{demo_site.root}/#channel={demo_site.token}/{demo_site.labels}")
    sheet = tab.get_by_role("dialog")
    expect(sheet).to_contain_text("segmentation (voxels: ")
    link = sheet.get_by_role("link", name="Open in Neuroglancer")
    usual = link.get_attribute("href")
    choice = sheet.get_by_role("combobox", name="Show in Neuroglancer")
    expect(choice).to_have_value("segmentation")
    choice.select_option("image")
    in_neuroglancer(link.get_attribute("href"))
    assert layers(tab)[demo_site.labels] == "image"
    in_neuroglancer(usual)
    assert layers(tab)[demo_site.labels] == "segmentation"


def test_a_stored_state_is_opened_again(tab: Page, site: Site, in_neuroglancer) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    before = in_neuroglancer(f"{site.root}/ng/?dataset={quote(site.token)}")
    arranged = layers(tab)
    tab.get_by_text("Share", exact=True).click()
    expect(tab.get_by_text("Share link copied to clipboard")).to_be_visible()
    link = tab.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(rf"{site.root}/#!{site.root}/state/[0-9a-f]{{16}}", link)
    tab.goto("about:blank")
    tab.goto(link)
    tab.wait_for_url("**/ng/**")
    after = in_neuroglancer(tab.url)
    assert layers(tab) == arranged
    assert {site.em, site.labels, "synapses"} <= set(arranged)
    assert np.abs(after.astype(int) - before).mean() < 3


# Sections


def test_former_addresses_lead_to_the_same(tab: Page, demo_site: Site) -> None:
    former = f"{demo_site.token.replace('/', '::')}/{demo_site.em}"
    tab.goto(f"{demo_site.root}/sections?channel={former}")
    expect(tab.locator("#title")).to_have_text(f"demo / {demo_site.em}")
    expect(tab.locator("#picture")).to_have_attribute("data-shown", re.compile("[0-9]+"))
    tab.goto(f"{demo_site.root}/#channel={former}")
    expect(tab.locator("#channel-name")).to_have_text(demo_site.em)


def test_sections_show_em_under_labels(tab: Page, site: Site) -> None:
    tab.goto(f"{site.root}/sections?channel={site.token}/{site.em}&over=")
    middle = site.segments.shape[0] // 2
    picture = tab.locator("#picture")
    expect(picture).to_have_attribute("data-shown", str(middle))
    expect(tab.get_by_label("Overlay").locator("option")).not_to_have_count(1)
    grey = pixels(picture)[4:-4]
    assert np.ptp(grey, axis=2).max() == 0
    assert grey[:, grey.shape[1] // 2].std() > 15
    tab.get_by_label("Overlay").select_option(label=site.labels)
    tab.wait_for_url(f"**over={quote(site.token, safe='')}*")
    expect(picture).to_have_attribute("data-shown", str(middle))
    tab.wait_for_timeout(300)
    assert (np.ptp(pixels(picture), axis=2) > 20).mean() > 0.3


def test_sections_are_scrolled_and_tell_what_is_under_the_cursor(tab: Page, site: Site) -> None:
    tab.goto(f"{site.root}/sections?channel={site.token}/{site.em}")
    picture = tab.locator("#picture")
    z = site.segments.shape[0] // 2
    expect(picture).to_have_attribute("data-shown", str(z))
    expect(tab.get_by_label("Overlay")).to_have_value(f"{site.token}/{site.labels}")
    box = picture.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2 + 30)
    tab.mouse.wheel(0, 100)
    expect(picture).to_have_attribute("data-shown", str(z + 1))
    tab.keyboard.press(",")
    expect(picture).to_have_attribute("data-shown", str(z))
    tab.mouse.move(box["x"] + box["width"] / 2 + 41, box["y"] + box["height"] / 2 + 31)
    place = tab.locator("#place")
    expect(place).to_contain_text("id ")
    text = place.text_content()
    assert text is not None
    x, y, section, *nanometres, label = map(int, re.findall(r"\d+", text))
    assert section == z
    assert label == site.segments[z, y, x]
    size = 8 if site.token.endswith("demo") else 10
    assert nanometres == [(n * 2 + 1) * size // 2 for n in (x, y, z)]


def test_neighbouring_sections_are_fetched_in_advance(tab: Page, demo_site: Site) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    with tab.expect_response(re.compile(r"/tiles/.*/0/30/0/0\.png")):
        tab.goto(f"{demo_site.root}/sections?channel={demo_site.token}/em.h5&over=&z=28")
    assert any("/0/27/0/0.png" in address for address in asked)


# A neuron


def test_a_neuron_has_its_partners(tab: Page, site: Site) -> None:
    neuron = site.busiest
    tab.goto(f"{site.root}/neuron?dataset={site.token}&id={neuron}")
    expect(tab.get_by_role("heading", level=1)).to_have_text(f"Neuron {neuron}")
    for title, own, other in (("Outputs", 0, 1), ("Inputs", 1, 0)):
        partners = [row[other] for row in site.synapses if row[own] == neuron]
        ids, counts = np.unique(partners, return_counts=True)
        panel = tab.locator("section").filter(has=tab.get_by_role("heading", name=title))
        if partners:
            expect(panel).to_contain_text(f"{len(partners)} synapse")
            first = panel.locator("tbody tr").first
            expect(first).to_contain_text(str(ids[counts == counts.max()].min()))
            expect(first.locator("td").last).to_have_text(str(counts.max()))
    own = [row for row in site.synapses if neuron in row[:2]]
    plot = tab.get_by_role("img", name=f"synapses of neuron {neuron}").first
    expect(plot.locator("circle:not(.soma)")).to_have_count(len(own))
    partners_link = tab.get_by_role("link", name="With its partners").get_attribute("href")
    assert partners_link is not None
    (selected,) = parse_qs(urlsplit(partners_link).query)["segments"]
    assert set(selected.split(",")) <= {str(n) for row in own for n in row[:2]}
    assert len(selected.split(",")) > 1


def test_a_neuron_that_is_not_there(tab: Page, demo_site: Site) -> None:
    tab.goto(f"{demo_site.root}/neuron?dataset={demo_site.token}&id={ABSENT}")
    expect(tab.get_by_role("alert").first).to_contain_text(f"There is no neuron {ABSENT}.")


def test_all_neurons_are_listed_and_lead_to_theirs(tab: Page, demo_site: Site) -> None:
    tab.goto(demo_site.root)
    tab.get_by_role("link", name="Neurons").click()
    listed = tab.get_by_role("list").get_by_role("link", name=str(demo_site.busiest), exact=True)
    listed.click()
    expect(tab.get_by_role("heading", level=1)).to_have_text(f"Neuron {demo_site.busiest}")
