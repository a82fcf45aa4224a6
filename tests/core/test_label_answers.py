"""Facts about labels: with an index, they are those of the voxels, of which few are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.cutouts.cutouts import Cutouts
from bfly.errors import Absent, TooLarge
from bfly.queries.info import InfoQuery
from bfly.queries.label import LabelQuery
from bfly.segments.background import BackgroundIndexes
from bfly.segments.store import Indexes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core
    from bfly.geometry import Zyx
    from bfly.volumes.region import Region

OFFSET = (3, -5, 10)


@pytest.fixture
def path(tmp_path: Path) -> str:
    blocks = np.random.default_rng(2).integers(0, 30, (4, 9, 11)).astype("u4")
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = blocks.repeat(3, 0).repeat(7, 1).repeat(5, 2)
    return str(tmp_path / "seg.h5")


def ask(core: Core, path: str, fact: str, **words: object) -> Any:
    words = {"path": path, "voxel_offset": OFFSET, "kind": "segmentation", **words}
    try:
        return core.labels.find(LabelQuery(fact, **words))
    except Absent:
        return None


def index(core: Core, path: str, folder: Path) -> None:
    """Build the label index of a channel."""
    core.segments.indexes = BackgroundIndexes(Indexes(str(folder), 1 << 30))
    query = LabelQuery("highest", whole=True, path=path, kind="segmentation", voxel_offset=OFFSET)
    core.labels.find(query)
    assert core.segments.segments(query.volume, None).index


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List the voxels that are read of a channel from now on."""
    read: list[int] = []
    show = Cutouts.show

    def counted(self: Cutouts, region: Region, look: Any) -> None:
        read.append(region.box.size)
        show(self, region, look)

    monkeypatch.setattr(Cutouts, "show", counted)
    return read


WHOLE = {"whole": True}
PART = {"z": 5, "y": 0, "x": 20, "depth": 4, "height": 30, "width": 11}
BEYOND = {"z": 90, "y": 0, "x": 20, "depth": 4, "height": 30, "width": 11}
LARGE = {"z": 4, "y": -5, "x": 0, "depth": 11, "height": 60, "width": 50}
BOXES = [WHOLE, PART, BEYOND, LARGE]
EDITS = [[], [["3", "9"], ["20", "4", "5"]]]


@pytest.mark.parametrize("edits", EDITS)
@pytest.mark.parametrize("words", BOXES)
@pytest.mark.parametrize("mip", [0, 1, 3])
@pytest.mark.parametrize("cell", [(64, 128, 128), (4, 9, 8)])
def test_answers_are_the_same_with_an_index(
    path: str,
    tmp_path: Path,
    make_core: Callable[..., Core],
    monkeypatch: pytest.MonkeyPatch,
    mip: int,
    words: dict[str, object],
    edits: list[list[str]],
    cell: Zyx,
) -> None:
    for module in ("building", "cells", "inside"):
        monkeypatch.setattr(f"bfly.segments.{module}.CELL", cell)
    # The index is asked, however small the box is.
    monkeypatch.setattr("bfly.core.indexed_labels.POSTING", np.dtype("u1"))
    core = make_core()
    if edits:
        query = InfoQuery(method="websocket:save", path=path, kind="segmentation")
        assert json.loads(core.get_edits(query, {"merge": edits}))["error"] == ""
    labels = [0, 3, 4, 5, 9, 20, 29, 77, 2**70, -1]
    words = {"resolution": mip, **words}

    def answers() -> list[Any]:
        boxes = [ask(core, path, "box", label=label, **words) for label in labels]
        return [*boxes, ask(core, path, "unique", **words), ask(core, path, "highest", **words)]

    read = answers()
    index(core, path, tmp_path / "kept")
    assert answers() == read
    assert mip or any(read) == (words.get("z") != BEYOND["z"])


def test_facts_about_a_whole_channel_read_no_voxel(
    path: str, tmp_path: Path, make_core: Callable[..., Core], bytes_read: list[int]
) -> None:
    core = make_core()
    questions = {"unique": {}, "highest": {}, "box": {"label": 7}}
    expected = {fact: ask(core, path, fact, **WHOLE, **words) for fact, words in questions.items()}
    assert bytes_read
    index(core, path, tmp_path / "kept")
    bytes_read.clear()
    found = {fact: ask(core, path, fact, **WHOLE, **words) for fact, words in questions.items()}
    assert found == expected
    assert not bytes_read


def test_only_cells_that_leave_it_open_are_read(
    path: str,
    tmp_path: Path,
    make_core: Callable[..., Core],
    bytes_read: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("building", "cells", "inside"):
        monkeypatch.setattr(f"bfly.segments.{module}.CELL", (6, 14, 10))
    core = make_core()
    words = {"z": 3, "y": -5, "x": 10, "depth": 11, "height": 60, "width": 50}
    expected = ask(core, path, "unique", **words)
    index(core, path, tmp_path / "kept")
    bytes_read.clear()
    # The box is on borders of cells but for z, which cuts the last ones.
    monkeypatch.setattr("bfly.core.indexed_labels.POSTING", np.dtype("u1"))
    assert ask(core, path, "unique", **words) == expected
    assert sum(bytes_read) <= 5 * 60 * 50
    bytes_read.clear()
    assert ask(core, path, "unique", **{**words, "depth": 6, "height": 56}) is not None
    assert not bytes_read


def test_more_labels_than_are_listed(
    path: str, tmp_path: Path, make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.core.label_answers.MOST_VALUES", 20)
    core = make_core()
    for _ in range(2):
        with pytest.raises(TooLarge, match=r"There are 29 values at resolution 0; at most 20 are"):
            ask(core, path, "unique", **WHOLE)
        index(core, path, tmp_path / "kept")


def test_negative_labels(
    tmp_path: Path, make_core: Callable[..., Core], bytes_read: list[int]
) -> None:
    path = str(tmp_path / "signed.h5")
    blocks = np.random.default_rng(2).integers(-5, 30, (4, 9, 11)).astype("i4")
    with h5py.File(path, "w") as file:
        file["main"] = blocks.repeat(3, 0).repeat(7, 1).repeat(5, 2)
    core = make_core()
    expected = ask(core, path, "unique", **WHOLE), ask(core, path, "highest", **WHOLE)
    assert expected == (set(range(-5, 30)) - {0}, 29)
    index(core, path, tmp_path / "kept")
    bytes_read.clear()
    assert (ask(core, path, "unique", **WHOLE), ask(core, path, "highest", **WHOLE)) == expected
    assert not bytes_read
    assert ask(core, path, "box", label=2**64 - 1, **WHOLE) is None


def test_the_ids_of_an_edit_are_looked_up(
    path: str, tmp_path: Path, make_core: Callable[..., Core], bytes_read: list[int]
) -> None:
    core = make_core()
    index(core, path, tmp_path / "kept")
    bytes_read.clear()
    words = {"path": path, "kind": "segmentation", "voxel_offset": OFFSET}
    for ids, error in (("3", "77"), "There is no segment or supervoxel 77."), (("3", "9"), ""):
        query = InfoQuery(method="websocket:save", **words)
        assert json.loads(core.get_edits(query, {"merge": [list(ids)]}))["error"] == error
    assert not bytes_read
