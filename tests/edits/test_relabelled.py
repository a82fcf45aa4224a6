"""Tiles as segments: each voxel by look-up, and cached while edits are elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bfly.edits.channel import ChannelEdits
from bfly.edits.cut import cut
from bfly.edits.log import MemoryLog
from bfly.edits.merge_table import added
from bfly.edits.message import Save
from bfly.edits.relabelled import Relabelled
from bfly.edits.undo import undone
from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.queries.data import DataQuery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core
    from bfly.edits.state import EditState

    Voxels = np.ndarray


def merged(edits: ChannelEdits, *ids: int) -> EditState:
    wanted = Save.parse({"merge": [list(map(str, ids))]})
    return edits.append(lambda state: wanted.operations(state, "", None))


def relabelled(voxels: Voxels, state: EditState) -> Relabelled:
    return Relabelled(voxels, state, BoundingBox.of_shape(voxels.shape), lambda _: voxels)


def again(tile: Relabelled, state: EditState, stored: Voxels) -> Relabelled:
    return tile.of(state, stored, lambda _: stored)


tiles = hnp.arrays(
    st.sampled_from(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]),
    hnp.array_shapes(min_dims=3, max_dims=3),
    elements=st.integers(0, 9),
)


@given(tiles, st.lists(st.integers(1, 9), min_size=9, max_size=9))
def test_each_voxel_is_looked_up(voxels: Voxels, segments: list[int]) -> None:
    edits = ChannelEdits("/x", MemoryLog())
    table = np.arange(1, 10, dtype="u8"), np.array(segments, "u8")
    tile = relabelled(voxels, edits.append(added(*table, "")))
    expected = np.array([0, *segments], voxels.dtype)[voxels]
    if tile.voxels is None:
        assert np.array_equal(expected, voxels)
    else:
        assert np.array_equal(tile.voxels, expected)
        assert tile.voxels.dtype == voxels.dtype
        assert not tile.voxels.flags.writeable


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8"])
def test_negative_labels_stay(dtype: str) -> None:
    state = merged(ChannelEdits("/x", MemoryLog()), 3, 2)
    lowest = np.iinfo(dtype).min
    tile = relabelled(np.array([[[lowest, -1, 0, 2, 3]]], dtype), state)
    assert tile.voxels is not None
    assert tile.voxels.dtype == dtype
    assert tile.voxels.tolist() == [[[lowest, -1, 0, 3, 3]]]
    assert relabelled(np.array([[[lowest, -1]]], dtype), state).voxels is None


def test_it_is_of_another_state_if_the_edits_were_elsewhere() -> None:
    edits = ChannelEdits("/x", MemoryLog())
    before, first = edits.state, merged(edits, 1, 2)
    stored = np.array([[[1, 2, 3]]], "u2")
    tile = relabelled(stored, first)
    assert again(tile, first, stored) is tile
    elsewhere = merged(edits, 7, 8)
    assert tile.shown.is_still_of(elsewhere)
    assert again(tile, elsewhere, stored) is tile
    assert again(tile, first, stored) is tile
    assert again(tile, before, stored).voxels is None
    here = merged(edits, 7, 3)
    assert not tile.shown.is_still_of(here)
    assert again(tile, here, stored).voxels.tolist() == [[[1, 1, 7]]]
    assert again(tile, elsewhere, stored) is tile


@given(
    hnp.arrays("u1", (2, 3, 5), elements=st.integers(0, 9)),
    st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=3), min_size=1, max_size=8),
    st.data(),
)
def test_a_tile_follows_states_in_any_order(
    stored: Voxels, lists: list[list[int]], data: st.DataObject
) -> None:
    edits = ChannelEdits("/x", MemoryLog())
    states = [edits.state, *(merged(edits, *ids) for ids in lists)]
    last = edits.state
    for one in range(1, 13):
        segment = edits.state.segment_of(one)
        if len(segment) > 1:
            part = segment[: len(segment) // 2]
            edits.append(lambda state, part=part: [cut(state, edits.history, [part], 100, "")])
            states.append(edits.state)
    number = last.position
    if number and edits.state is last:
        edits.append(lambda state: [undone(state, edits.history, [number], 100, who="")])
        states.append(edits.state)
    tile = relabelled(stored, data.draw(st.sampled_from(states)))
    for state in data.draw(st.lists(st.sampled_from(states), max_size=9)):
        tile = again(tile, state, stored)
        voxels = stored if tile.voxels is None else tile.voxels
        expected = state.segments(stored.ravel().astype("u8")).reshape(stored.shape)
        assert np.array_equal(voxels, expected)


def test_many_edits_at_once_are_looked_up() -> None:
    edits = ChannelEdits("/x", MemoryLog())
    stored = np.array([[[1, 2, 3]]], "u2")
    tile = relabelled(stored, edits.state)
    many = np.arange(10, 20_010, dtype="u8")
    state = edits.append(added(many, many // 2 + 1_000_000, ""))
    assert not tile.shown.is_still_of(state)
    assert again(tile, state, stored) is tile
    assert tile.shown.is_still_of(state)
    state = edits.append(added(np.array([2, 3], "u8"), np.array([2, 2], "u8"), ""))
    assert again(tile, state, stored).voxels.tolist() == [[[1, 2, 2]]]


def test_a_name_has_to_fit() -> None:
    edits = ChannelEdits("/x", MemoryLog())
    state = merged(edits, 300, 2)
    with pytest.raises(SourceError, match="The segment 300 is larger than uint8 can hold"):
        relabelled(np.full((1, 1, 2), 2, "u1"), state)


def test_tiles_are_relabelled_once(make_core: Callable[..., Core], tmp_path: Path) -> None:
    path = str(tmp_path / "seg.h5")
    with h5py.File(path, "w") as file:
        file["main"] = np.arange(8, dtype="u4").reshape(2, 2, 2)
    core = make_core()
    edits = core.edits.channel(path)

    def served() -> Voxels:
        return core.find_tiles(DataQuery(path=path, depth=2, height=2, width=2))

    stored = served()
    merged(edits, 9, 8)
    assert np.shares_memory(served(), stored)
    merged(edits, 3, 2)
    once = served()
    assert once.ravel().tolist() == [0, 1, 3, 3, 4, 5, 6, 7]
    merged(edits, 11, 12)
    assert np.shares_memory(served(), once)
    merged(edits, 5, 4)
    assert served().ravel().tolist() == [0, 1, 3, 3, 5, 5, 6, 7]
    assert once.ravel().tolist() == [0, 1, 3, 3, 4, 5, 6, 7]
