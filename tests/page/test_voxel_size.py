"""Channels of unknown voxel size: in Neuroglancer, and in the sheet, which writes one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import yaml
from playwright.sync_api import expect

from bfly.testing.tissue import make_tissue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

SAME = "exp/sam/same"
"""Dataset with EM of unknown voxel size, and labels that state theirs."""

NONE = "exp/sam/none"
"""Dataset without any voxel size."""

INPUT_SCALES = """viewer.layerManager.managedLayers.map(({name, layer}) => [name,
  ...layer.dataSources.map(({loadState}) => {
    const {scales, units} = loadState.transform.value.outputSpace;
    return [[...scales].slice(0, 3), units.slice(0, 3)];
  })])"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a configuration of both datasets."""
    folder = tmp_path_factory.mktemp("sizes")
    make_tissue(str(folder), (24, 96, 96))
    for name in ("em", "segmentation"):
        with h5py.File(folder / f"{name}.h5", "r+") as file:
            for attribute in [*file["main"].attrs]:
                del file["main"].attrs[attribute]
            for attribute in [*file.attrs]:
                del file.attrs[attribute]
    with h5py.File(folder / "sized.h5", "w") as file, h5py.File(folder / "segmentation.h5") as old:
        file["main"] = old["main"][:]
        file["main"].attrs["resolution"] = [40, 8, 4]
    channels = {SAME: ("em", "sized"), NONE: ("em", "segmentation")}
    datasets = [
        {
            "name": token.split("/")[2],
            "path": str(folder),
            "channels": [{"name": name, "path": f"{name}.h5"} for name in names],
        }
        for token, names in channels.items()
    ]
    experiments = [{"name": "exp", "samples": [{"name": "sam", "datasets": datasets}]}]
    (folder / "c.yaml").write_text(yaml.safe_dump({"bfly": {"experiments": experiments}}))
    return folder


@pytest.fixture(scope="module")
def root(folder: Path, command: Callable[..., Any]) -> Iterator[str]:
    with command("-e", "c.yaml", "0", cwd=folder) as url:
        yield url.rstrip("/")


def drawn(shown: np.ndarray) -> float:
    """Return the part of a section that has colours: labels over EM."""
    section = shown[60:400, 20:560].astype(int)
    return float((np.ptp(section, axis=2) > 25).mean())


def test_without_any_size_lengths_have_no_unit(tab: Page, root: str, in_neuroglancer: Any) -> None:
    shown = in_neuroglancer(f"{root}/ng/?dataset={NONE}")
    assert drawn(shown) > 0.4
    note = "The voxel size of em, segmentation is unknown: lengths count voxels."
    expect(tab.get_by_text(note)).to_be_visible()
    assert tab.evaluate("viewer.state.toJSON()")["dimensions"] == {a: [1, ""] for a in "xyz"}
    for _, source in tab.evaluate(INPUT_SCALES):
        assert source == [[1, 1, 1], ["", "", ""]]


def test_a_channel_without_a_size_has_the_voxels_of_the_others(
    tab: Page, root: str, in_neuroglancer: Any
) -> None:
    shown = in_neuroglancer(f"{root}/ng/?dataset={SAME}")
    assert drawn(shown) > 0.4
    note = "The voxel size of em is unknown: drawn with voxels of 4 × 8 × 40 nm."
    expect(tab.get_by_text(note)).to_be_visible()
    dimensions = tab.evaluate("viewer.state.toJSON()")["dimensions"]
    assert [dimensions[axis] for axis in "xyz"] == [[4e-9, "m"], [8e-9, "m"], [4e-8, "m"]]
    for _, (scales, units) in tab.evaluate(INPUT_SCALES):
        np.testing.assert_allclose(scales, [4e-9, 8e-9, 4e-8])
        assert units == ["m"] * 3


def test_the_sheet_writes_the_size(tab: Page, root: str, folder: Path) -> None:
    tab.goto(f"{root}/#channel={NONE}/em")
    sheet = tab.get_by_role("dialog")
    expect(sheet.locator("dl")).to_contain_text("unknown")
    for axis, size in (("x", "3.5"), ("y", "4"), ("z", "40")):
        sheet.get_by_label(f"Voxel size along {axis}, nm").fill(size)
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator("dl")).to_contain_text("3.5 × 4 × 40 nm")
    text = (folder / "c.yaml").read_text()
    assert text.count("voxel_size: [40, 4, 3.5]") == 1
    sheet.get_by_role("button", name="Close").click()
    card = tab.get_by_role("region", name="Dataset none").get_by_role("listitem").first
    expect(card).to_contain_text("voxel 3.5 × 4 × 40 nm")
    # It is in use: the others of the dataset now have its voxels.
    tab.goto(f"{root}/ng/?dataset={NONE}")
    expect(tab.get_by_text(re.compile("drawn with voxels of 3.5 × 4 × 40 nm"))).to_be_visible()


def test_without_a_file_the_sheet_shows_the_line(
    tab: Page, folder: Path, command: Callable[..., Any]
) -> None:
    with command("-e", str(folder), "0", cwd=folder) as url:
        name = folder.name
        tab.goto(f"{url.rstrip('/')}/#channel=root/{name}/{name}/em.h5")
        sheet = tab.get_by_role("dialog")
        expect(sheet).to_contain_text("The server cannot write to its configuration.")
        expect(sheet.get_by_role("button", name="Save")).to_have_count(0)
        for axis, size in (("x", "3.5"), ("y", "4"), ("z", "40")):
            sheet.get_by_label(f"Voxel size along {axis}, nm").fill(size)
        expect(sheet).to_contain_text("voxel_size: [40, 4, 3.5]  # z, y, x in nanometres")
