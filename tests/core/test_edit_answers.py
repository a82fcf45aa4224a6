"""Edits through the core: the documented messages, and the voxels after them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.core.core import Core
from bfly.cutouts.label_stats import highest
from bfly.databases.sqlite import Sqlite
from bfly.errors import BadRequest, DatabaseError
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE = (20, 70, 90)


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 12, SHAPE).astype("u4")


@pytest.fixture
def path(tmp_path: Path, voxels: np.ndarray) -> str:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file.create_dataset("main", data=voxels, chunks=(16, 32, 32))
    return str(tmp_path / "seg.h5")


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    return make_core()


def ask(core: Core, path: str, action: str = "restore", **message: Any) -> dict[str, Any]:
    query = InfoQuery(method=f"websocket:{action}", path=path)
    answer = json.loads(core.get_edits(query, message))
    assert answer.pop("action") == ("restore" if answer["error"] else action)
    assert answer == {
        "merge": query.RUNTIME.IMAGE.MERGE.VALUE,
        "split": query.RUNTIME.IMAGE.SPLIT.VALUE,
        "error": query.RUNTIME.IMAGE.ERROR.VALUE,
    }
    return answer


def cutout(core: Core, path: str, **words: Any) -> np.ndarray:
    box = dict(zip(("depth", "height", "width"), SHAPE, strict=True))
    return core.find_tiles(DataQuery(path=path, **{**box, **words}))


def test_restore_and_save(core: Core, path: str) -> None:
    empty = {"merge": [], "split": [], "error": ""}
    assert ask(core, path) == empty
    split = "5:1:0:9:0:9:0:9"
    saved = ask(core, path, "save", merge=[["3", "4"], ["7", "8", "9"]], split=[split])
    assert saved == {"merge": [["3", "4"], ["7", "8", "9"]], "split": [split], "error": ""}
    assert ask(core, path, "save", merge=[["3", "4"]], split=[split]) == saved
    assert core.edits.channel(path).state.position == 2
    assert ask(core, path) == saved
    assert ask(core, path, "save") == saved
    merged = ask(
        core, path, "save", merge=[["9", "4"]], split=["5:1:0:5:0:5:0:5", "5:2:1:1:1:1:1:1"]
    )
    assert merged["merge"] == [["9", "3", "4", "7", "8"]]
    assert merged["split"] == ["5:1:0:5:0:5:0:5", "5:2:1:1:1:1:1:1"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"merge": [["3", "x"]]}, "The id x is not an integer."),
        ({"merge": [["3", "-4"]]}, "The id -4 is not an integer."),
        ({"merge": [["3", 4.0]]}, "The id 4.0 is not an integer."),
        ({"merge": [["3", True]]}, "The id True is not an integer."),
        ({"merge": [["3", "4:"]]}, "The id 4: is not an integer."),
        ({"merge": [["3", "4:1:2"]]}, "The id 4:1:2 is not an integer."),
        ({"merge": [["3", "²"]]}, "The id ² is not an integer."),
        ({"merge": [["3", "12:1"]]}, "There is no segment or supervoxel 12."),
        ({"merge": [["3", "0"]]}, "The id 0 is not from 1 to 18446744073709551615."),
        ({"merge": [["3", str(2**64)]]}, f"The id {2**64} is not from 1"),
        ({"merge": [["3", "12"]]}, "There is no segment or supervoxel 12."),
        ({"merge": [["3", str(2**40)]]}, f"There is no segment or supervoxel {2**40}."),
        ({"merge": ["3", "4"]}, "The merge is not a list of lists of ids."),
        ({"merge": {"3": "4"}}, "The merge is not a list of lists of ids."),
        ({"split": "5:1:0:9:0:9:0:9"}, "The split is not a list of text."),
        ({"split": ["5:1:0:9:0:9:0"]}, "The split 5:1:0:9:0:9:0 is not id:region:x0"),
        ({"split": ["5:1:0:9:0:9:0:-1"]}, "is not id:region:x0"),
        ({"split": [5]}, "The split 5 is not id:region"),
        ({"split": ["5:1:9:0:0:9:0:9"]}, "has a box that ends before it begins"),
        ({"split": ["99:1:0:9:0:9:0:9"]}, "There is no segment or supervoxel 99."),
        ({"split": [f"5:{2**70}:0:9:0:9:0:9"]}, "has a number that is too large"),
        ({"split": [":".join(["9" * 4301] * 8)]}, "is not id:region"),
        ({"split": ["²:1:0:9:0:9:0:9"]}, "is not id:region"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(
    core: Core, path: str, message: dict[str, Any], said: str
) -> None:
    before = ask(core, path, "save", merge=[["1", "2"]])
    answer = ask(core, path, "save", **{"merge": [["5", "6"]], **message})
    assert said in answer.pop("error")
    assert answer == {"merge": before["merge"], "split": []}
    assert core.edits.channel(path).state.position == 1


def test_an_image_has_no_edits(core: Core, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["main"] = np.zeros((2, 3, 4), "u1")
    em, empty = str(tmp_path / "em.h5"), {"merge": [], "split": [], "error": ""}
    assert ask(core, em) == empty
    answer = ask(core, em, "save", merge=[["1", "2"]])
    assert answer.pop("error") == f"{em} is an image; only a segmentation has edits."
    assert ask(core, em) == empty


def test_a_segmentation_that_is_an_image_now_shows_no_edits(core: Core, path: str) -> None:
    ask(core, path, "save", merge=[["1", "2"]])
    query = InfoQuery(method="websocket:restore", path=path, kind="image")
    assert json.loads(core.get_edits(query))["merge"] == []


def test_an_id_is_that_of_a_segment_first(core: Core, path: str, voxels: np.ndarray) -> None:
    ask(core, path, "save", merge=[["3", "4"], ["5", "3"], ["2", "1"]])
    # 4 is a supervoxel of 5 now: its whole segment is meant, and gets its name.
    assert ask(core, path, "save", merge=[["4", "2"]])["merge"] == [["4", "1", "2", "3", "5"]]
    expected = np.where((voxels >= 1) & (voxels <= 5), 4, voxels)
    assert np.array_equal(cutout(core, path), expected)


def test_voxels_are_segments_or_supervoxels(core: Core, path: str, voxels: np.ndarray) -> None:
    before = cutout(core, path)
    assert np.array_equal(before, voxels)
    ask(core, path, "save", merge=[["3", "4"], ["9", "1", "3"], ["7", "8"]])
    lookup = np.arange(12)
    lookup[[1, 3, 4]], lookup[8] = 9, 7
    assert np.array_equal(cutout(core, path), lookup[voxels])
    assert np.array_equal(cutout(core, path, labels="supervoxels"), voxels)
    assert np.array_equal(before, voxels)
    box = {"z": -2, "y": 30, "x": 31, "depth": 9, "height": 9, "width": 100}
    part = cutout(core, path, **box)
    assert np.array_equal(part[2:, :, :59], lookup[voxels[:7, 30:39, 31:]])
    assert not part[:2].any()
    assert not part[:, :, 59:].any()
    # A coarse voxel is the supervoxel that most of it are, as the segment that this is in.
    coarse = {"height": 18, "width": 23, "resolution": 2}
    supervoxels = cutout(core, path, **coarse, labels="supervoxels")
    assert np.array_equal(cutout(core, path, **coarse), lookup[supervoxels])


def test_facts_about_labels_are_about_segments(core: Core, path: str, voxels: np.ndarray) -> None:
    ask(core, path, "save", merge=[["3", "4", "11", "10"]])
    box = dict(zip(("depth", "height", "width"), SHAPE, strict=True))
    assert core.find_unique(DataQuery(path=path, **box)) == {*range(4), *range(5, 10)}
    stored = DataQuery(path=path, **box, labels="supervoxels")
    assert core.find_unique(stored) == set(range(12))
    query = DataQuery(path=path, **box)
    query.update_source(core.update_query(query))
    assert highest(core._cutouts, query.region) == 9


def test_a_cutout_past_the_cache(
    make_core: Callable[..., Core], path: str, voxels: np.ndarray
) -> None:
    core = make_core(cache=1 << 16)
    ask(core, path, "save", merge=[["3", "4"]])
    assert np.array_equal(cutout(core, path), np.where(voxels == 4, 3, voxels))
    assert np.array_equal(cutout(core, path, labels="supervoxels"), voxels)


def test_a_program_that_starts_again_knows_them(tmp_path: Path, path: str) -> None:
    def started() -> Core:
        return Core(Sqlite(str(tmp_path / "bfly.db"), RUNTIME()))

    first = started()
    saved = ask(first, path, "save", merge=[["3", "4"]], split=["5:1:0:9:0:9:0:9"])
    first.edits.close()
    second = started()
    assert ask(second, path) == saved
    # Two at the same time take notice of each other.
    third = started()
    ask(third, path, "save", merge=[["5", "6"]])
    assert ask(second, path, "save", merge=[["5", "7"]])["merge"] == [["3", "4"], ["5", "6", "7"]]
    (merge, split, *_), channel = list(second.edits.log.read(path)), second.edits.channel(path)
    assert (merge.kind, merge.base, merge.names.tolist(), merge.was.tolist()) == (
        "merge",
        0,
        [3],
        [3, 4],
    )
    assert (split.kind, split.points.tolist()) == ("split", [[0, 0, 0], [9, 9, 9]])
    assert [channel.at(n).segments(np.array([4, 6, 7], "u8")).tolist() for n in range(5)] == [
        [4, 6, 7],
        [3, 6, 7],
        [3, 6, 7],
        [3, 5, 7],
        [3, 5, 5],
    ]
    with pytest.raises(BadRequest, match="The operation 5 is not from 0 to 4"):
        channel.at(5)
    for core in (second, third):
        core.edits.close()


def test_edits_in_a_file_of_their_own(tmp_path: Path, path: str) -> None:
    from bfly.databases.nodb import Nodb

    runtime = RUNTIME()
    runtime.DB.EDIT.VALUE = str(tmp_path / "edits" / "edits.db")
    first = Core(Nodb("", runtime))
    saved = ask(first, path, "save", merge=[["3", "4"]])
    second = Core(Nodb("", runtime))
    assert ask(second, path) == saved
    for core in (first, second):
        core.edits.close()


def test_labels_that_look_like_an_image_keep_their_edits(core: Core, tmp_path: Path) -> None:
    path = str(tmp_path / "small.h5")
    voxels = np.random.default_rng(0).integers(0, 200, SHAPE).astype("u1")
    with h5py.File(path, "w") as file:
        file["main"] = voxels
    saved = InfoQuery(method="websocket:save", path=path, kind="segmentation")
    assert json.loads(core.get_edits(saved, {"merge": [["3", "5"]]}))["error"] == ""
    assert (cutout(core, path) == np.where(voxels == 5, 3, voxels)).all()
    query = InfoQuery(path=path)
    query.update_source(core.update_query(query))
    assert query.volume.source.kind_source == "edits: labels were merged or split"
    assert query.volume.kind == "segmentation"


def test_labels_keep_their_edits_once_the_log_can_be_asked_again(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "small.h5")
    voxels = np.random.default_rng(0).integers(0, 200, SHAPE).astype("u1")
    with h5py.File(path, "w") as file:
        file["main"] = voxels
    saved = InfoQuery(method="websocket:save", path=path, kind="segmentation")
    assert json.loads(core.get_edits(saved, {"merge": [["3", "5"]]}))["error"] == ""

    def unreachable(_: str) -> bool:
        raise DatabaseError("no answer")

    with monkeypatch.context() as halted:
        halted.setattr(core.edits, "has", unreachable)
        assert (cutout(core, path) == voxels).all()
    query = InfoQuery(path=path)
    query.update_source(core.update_query(query))
    monkeypatch.setattr(query.volume, "_due", 0)
    assert (cutout(core, path) == np.where(voxels == 5, 3, voxels)).all()
