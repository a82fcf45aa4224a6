"""The panel "Proofreading" of the page of Neuroglancer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from playwright.sync_api import expect

from bfly.config.config import Config
from tests.page.conftest import dataset, faults, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from playwright.sync_api import Locator, Page

EDITS = "/api/edits/exp/sam/dat/labels"
CHANNELS = "channel=exp/sam/dat/tissue&channel=exp/sam/dat/labels"
ROOT = 2 << 40
"""The root of a label that no operation changed is so much more."""

SELECTED = """() => viewer.layerManager.getLayerByName('labels').layer.displayState
  .segmentationGroupState.value.selectedSegments.toJSON()"""
SOURCES = """() => Object.fromEntries(viewer.state.toJSON().layers
  .map(({name, source}) => [name, source.url ?? source]))"""


@pytest.fixture
def client(tmp_path: Any, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    """A server of two neurons of two supervoxels each, which touch."""
    labels = np.zeros((16, 40, 80), np.uint32)
    labels[2:14, 4:18, :40], labels[2:14, 4:18, 40:] = 1, 2
    labels[2:14, 18:32, :40], labels[2:14, 18:32, 40:] = 3, 4
    tissue = np.where(labels > 0, 200, 60).astype(np.uint8)
    tissue[:, 17:19] = 60
    for name, voxels in (("tissue", tissue), ("labels", labels)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["main"] = voxels
    channels = [
        {"name": name, "path": str(tmp_path / f"{name}.h5"), "voxel_size": [8, 8, 8], "kind": kind}
        for name, kind in (("tissue", "image"), ("labels", "segmentation"))
    ]
    words = {"name": "dat", "path": str(tmp_path), "channels": channels}
    experiments = [{"name": "exp", "samples": [{"name": "sam", "datasets": [words]}]}]
    with serve(Config.parse({"bfly": {"experiments": experiments}}, "site.yaml")) as started:
        yield started


def edited(client: httpx.Client, action: str, **words: Any) -> dict[str, Any]:
    answer = client.post(f"{EDITS}/{action}", json=words)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def operations(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"{EDITS}/log").json()["operations"]
    return found


@pytest.fixture
def opened(
    client: httpx.Client, tab: Page, in_neuroglancer: Callable[..., np.ndarray]
) -> Callable[..., Locator]:
    """Open the page with some segments selected, and return the panel."""

    def show(*segments: int, words: str = "") -> Locator:
        chosen = f"&segments={','.join(map(str, segments))}" if segments else ""
        root = str(client.base_url).rstrip("/")
        in_neuroglancer(f"{root}/ng/?{CHANNELS}{chosen}{words}")
        panel = tab.get_by_role("complementary", name="Proofreading")
        expect(panel.get_by_role("status")).to_have_text("Edits of labels appear as they are made.")
        expect(panel.get_by_role("region", name="Latest operations")).not_to_have_text("")
        return panel

    return show


def expect_selected(tab: Page, count: int) -> list[int]:
    """Wait until so many segments are selected, and return them."""
    tab.wait_for_function(f"(() => ({SELECTED})().length === {count})()")
    return sorted(map(int, tab.evaluate(SELECTED)))


def rows(panel: Locator, title: str) -> Locator:
    return panel.get_by_role("region", name=title).get_by_role("listitem")


# How it opens


def test_labels_can_be_edited_and_images_are_as_before(tab: Page, opened) -> None:
    panel = opened(1, 3)
    sources = tab.evaluate(SOURCES)
    assert re.match("precomputed://.*/pre/exp/sam/dat/tissue", sources["tissue"])
    assert re.match("graphene://.*/segmentation/table/labels", sources["labels"])
    assert expect_selected(tab, 2) == [ROOT + 1, ROOT + 3]
    expect(panel.get_by_label("Segmentation")).to_have_value("labels")


def test_the_address_decides(tab: Page, client: httpx.Client, in_neuroglancer) -> None:
    in_neuroglancer(f"{client.base_url}/ng/?{CHANNELS}&graphene=0&segments=1")
    assert tab.evaluate(SOURCES)["labels"].startswith("precomputed://")
    assert tab.evaluate(SELECTED) == ["1"]
    expect(tab.get_by_role("complementary", name="Proofreading")).to_be_hidden()
    expect(tab.get_by_role("button", name="Proofreading")).to_be_hidden()


def test_segments_with_synapses_stay_tied_to_them(
    tab: Page, tmp_path, serve, in_neuroglancer
) -> None:
    labels = np.zeros((16, 40, 40), np.uint32)
    labels[:, :20], labels[:, 20:] = 1, 2
    labels[:, :, ::3] += 2
    with h5py.File(tmp_path / "labels.h5", "w") as file:
        file["main"] = labels
    channel = {"name": "labels", "path": str(tmp_path / "labels.h5"), "voxel_size": [8, 8, 8]}
    words, _ = dataset(tmp_path, labels, 10, [channel])
    with served(serve, tmp_path, {"name": "dat", **words}) as client:
        address = f"{client.base_url}/ng/?channel=exp/sam/dat/labels"
        in_neuroglancer(address)
        assert tab.evaluate(SOURCES)["labels"].startswith("precomputed://")
        tab.goto("about:blank")
        in_neuroglancer(f"{address}&graphene=1")
        assert tab.evaluate(SOURCES)["labels"].startswith("graphene://")
        expect(tab.get_by_text("are not tied to the segments of a layer")).to_be_visible()


# Edits of all


def test_edits_of_others_appear_without_a_reload(tab: Page, client, opened) -> None:
    panel = opened(1, 3)
    before = expect_selected(tab, 2)
    made = edited(client, "merge", points=[[10, 8, 5], [10, 25, 5]], user="Ada <b>")
    (root,) = expect_selected(tab, 1)
    assert root not in before
    expect(panel.get_by_role("status")).to_have_text("Ada <b> merged into segment 1 (#1).")
    expect(rows(panel, "Latest operations")).to_have_count(1)
    own = rows(panel, "Selected segment")
    expect(own).to_contain_text("#1 Ada <b> merged into segment 1")
    own.get_by_role("button", name="Go to the place of #1").click()
    tab.wait_for_function("viewer.position.value.join() === '10.5,8.5,5.5'")
    own.get_by_role("button", name="Undo #1").click()
    assert expect_selected(tab, 2)
    expect(panel.get_by_role("status")).to_have_text("Took back #1.")
    assert operations(client)[0]["undoes"] == [made["operation"]]


def test_the_last_own_operation_is_taken_back_and_done_again(tab: Page, client, opened) -> None:
    edited(client, "merge", ids=[1, 2], user="Bo")
    edited(client, "merge", ids=[3, 4], user="Ada")
    panel = opened(1, 3)
    panel.get_by_label("Your name").fill("Bo")
    panel.get_by_label("Your name").blur()
    panel.get_by_role("button", name="Undo my last").click()
    expect(panel.get_by_role("status")).to_have_text("Took back #1.")
    expect_selected(tab, 3)
    panel.get_by_role("button", name="Undo my last").click()
    expect(panel.get_by_role("status")).to_have_text("Nothing of Bo is left to undo.")
    panel.get_by_role("button", name="Redo my last").click()
    expect(panel.get_by_role("status")).to_have_text("Did again #1.")
    expect_selected(tab, 2)
    assert [one["user"] for one in operations(client)] == ["Bo", "Bo", "Ada", "Bo"]
    assert operations(client)[-1]["undone_by"] is None


def test_what_neuroglancer_edits_has_the_name_of_the_author(tab: Page, client, opened) -> None:
    panel = opened(1, 3)
    panel.get_by_label("Your name").fill("Zoë")
    panel.get_by_label("Your name").blur()
    tab.evaluate(
        """async (base) => {
          const {graph} = viewer.layerManager.getLayerByName('labels').layer.graphConnection.value;
          const point = (label, ...at) => ({segmentId: BigInt(base) + BigInt(label), position: at});
          await graph.graphServer.mergeSegments(point(1, 10, 8, 5), point(3, 10, 25, 5), [8, 8, 8]);
        }""",
        str(ROOT // 2),
    )
    expect(rows(panel, "Latest operations")).to_contain_text("Zoë merged")
    assert operations(client)[0]["user"] == "Zoë"


# A split, and past states

MARKED = """([root, base, red, blue]) => {
  const {state} = viewer.layerManager.getLayerByName('labels').layer.graphConnection.value;
  const point = ([label, ...at]) => ({segmentId: BigInt(base) + BigInt(label), rootId: BigInt(root),
    position: new Float32Array(at)});
  state.multicutState.focusSegment.value = BigInt(root);
  state.multicutState.sinks.add(point(red));
  state.multicutState.sources.add(point(blue));
}"""


def test_a_split_is_previewed_in_two_colours(tab: Page, client, opened) -> None:
    edited(client, "merge", ids=[1, 2, 3, 4], user="Ada")
    panel = opened(1)
    (root,) = expect_selected(tab, 1)
    preview = panel.get_by_role("button", name="Preview the split")
    preview.click()
    expect(panel.get_by_role("status")).to_have_text("Mark a red and a blue point first.")
    tab.evaluate(MARKED, [str(root), str(ROOT // 2), [1, 10, 8, 5], [3, 10, 25, 5]])
    preview.click()
    expect(panel.get_by_role("status")).to_contain_text("the cut is")
    state = tab.evaluate("viewer.state.toJSON()")
    layer = next(one for one in state["layers"] if one["name"] == "split preview")
    colours = {int(label): colour for label, colour in layer["segmentColors"].items()}
    assert set(colours) == {1, 2, 3, 4}
    assert colours[1] != colours[3]
    loaded = "viewer.layerManager.getLayerByName('split preview').layer.dataSources[0].loadState"
    tab.wait_for_function(loaded)
    assert tab.evaluate(f"{loaded}.error === undefined")


def test_a_preview_changes_nothing_and_goes(tab: Page, client, opened) -> None:
    edited(client, "merge", ids=[1, 2, 3, 4], user="Ada")
    panel = opened(1)
    (root,) = expect_selected(tab, 1)
    tab.evaluate(MARKED, [str(root), str(ROOT // 2), [1, 10, 8, 5], [3, 10, 25, 5]])
    panel.get_by_role("button", name="Preview the split").click()
    tab.wait_for_function("viewer.layerManager.getLayerByName('split preview')")
    panel.get_by_role("button", name="Clear the preview").click()
    tab.wait_for_function("!viewer.layerManager.getLayerByName('split preview')")
    alpha = "viewer.layerManager.getLayerByName('labels').layer.displayState.objectAlpha.value"
    assert tab.evaluate(alpha) == 1
    assert len(operations(client)) == 1
    assert expect_selected(tab, 1) == [root]


def test_yesterday_is_a_layer_of_its_own(tab: Page, client, opened) -> None:
    edited(client, "merge", ids=[1, 3], user="Ada")
    panel = opened(1)
    expect_selected(tab, 1)
    panel.get_by_role("button", name="Show this state").click()
    expect(panel.get_by_role("status")).to_contain_text("is a layer of its own")
    layers = tab.evaluate("viewer.state.toJSON()")["layers"]
    past = next(one for one in layers if re.search(r"/table/labels\.t\d+", str(one["source"])))
    assert sorted(map(int, past["segments"])) == [ROOT + 1, ROOT + 3]
    expect(panel.get_by_label("Segmentation").get_by_role("option")).to_have_text(["labels"])


def test_what_changed_since_is_listed(tab: Page, client, opened) -> None:
    edited(client, "merge", ids=[1, 2], user="Ada")
    panel = opened(3)
    panel.get_by_role("button", name="List what changed since").click()
    expect(panel.get_by_role("status")).to_have_text("1 difference since then.")
    found = panel.get_by_role("list", name="Differences").get_by_role("listitem")
    expect(found).to_contain_text("1 + 2 → 1")
    found.get_by_role("button", name="Go to").click()
    expect_selected(tab, 2)
    x, y, z = tab.evaluate("[...viewer.position.value]")
    assert (35 < x < 45, 4 < y < 18, 2 < z < 14) == (True, True, True)


# People


@pytest.mark.parametrize("width", [1280, 390])
def test_the_panel_has_no_serious_fault(tab: Page, client, opened, axe: str, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 800})
    edited(client, "merge", ids=[1, 2], user="Ada")
    show = tab.get_by_role("button", name="Proofreading", exact=True)
    panel = tab.locator("#proofreading")
    tab.goto(f"{client.base_url}/ng/?{CHANNELS}&segments=1")
    expect(show).to_have_attribute("aria-expanded", str(width > 1000).lower())
    if width < 1000:
        show.click()
    expect(rows(panel, "Selected segment")).to_have_count(1)
    assert faults(tab, axe, "#proofreading") == []
    assert faults(tab, axe, "#proofreading-toggle") == []
    picture = tab.locator("#neuroglancer-container").bounding_box()
    assert picture
    assert min(picture["width"], picture["height"]) > 350
    show.press("Enter")
    expect(panel).to_be_hidden()
    assert tab.locator("#neuroglancer-container").bounding_box()["width"] == width
