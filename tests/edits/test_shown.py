"""Tiles that stay in memory while a channel and a branch are edited, also voxel by voxel."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bfly.edits.branch import BranchEdits
from bfly.edits.channel import ChannelEdits
from bfly.edits.cut import cut
from bfly.edits.log import MemoryLog
from bfly.edits.merge import merged
from bfly.edits.patch import Fresh, cut_inside, painted
from bfly.edits.patches import applied
from bfly.edits.relabelled import Relabelled
from bfly.edits.undo import undone
from bfly.errors import Absent, BadRequest, Conflict
from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bfly.edits.operation import Operation
    from bfly.edits.patches import Patch
    from bfly.edits.state import EditState

SHAPE = (2, 4, 6)
WHOLE = BoundingBox.of_shape(SHAPE)
STORED = np.repeat(np.arange(6, dtype="u4"), 8).reshape(SHAPE)
FRESH = 100
IDS = Fresh(FRESH, 2**32 - 1)
TILES = [BoundingBox((0, 0, x), (2, 4, x + 3)) for x in (0, 3)]


def expected(state: EditState, box: BoundingBox) -> Any:
    """Return the voxels of a box, each looked up."""
    voxels = applied(state.patches.all, STORED, WHOLE)[box.slices]
    return state.segments(voxels.ravel().astype("u8")).reshape(box.shape)


class Tile:
    """A tile of the channel, as the cache has it."""

    def __init__(self, box: BoundingBox) -> None:
        self.box, self.held = box, {}
        self.stored = np.ascontiguousarray(STORED[box.slices])

    def patch(self, patches: Sequence[Patch]) -> Any:
        return applied(patches, self.stored, self.box)

    def check(self, state: EditState) -> None:
        """Check the voxels for a state, and what is said of them without a look at them."""
        wanted = expected(state, self.box)
        key = state.line, state.patched is state
        tile = self.held.get(key)
        if tile is None:
            tile = Relabelled(self.stored, state, self.box, self.patch)
        elif tile.shown.is_still_of(state):
            assert np.array_equal(self.voxels(tile), wanted)
        tile = self.held[key] = tile.of(state, self.stored, self.patch)
        assert np.array_equal(self.voxels(tile), wanted)
        assert tile.shown.is_still_of(state)

    def voxels(self, tile: Relabelled) -> Any:
        return self.stored if tile.voxels is None else tile.voxels


def edited(edits: ChannelEdits, data: st.DataObject) -> None:
    """Do a drawn operation, if it can be done."""
    some = st.integers(1, 5)
    kind = data.draw(st.sampled_from(["merge", "cut", "paint", "inside", "undo"]))
    mask = np.zeros(SHAPE, bool)
    z, y, x = (data.draw(st.integers(0, size - 1)) for size in SHAPE)
    mask[z, y : y + 2, x : x + 2] = True
    into = data.draw(st.sampled_from([None, 0, 1, 2, 3, FRESH]))
    one, other = data.draw(some), data.draw(some)
    number = data.draw(st.integers(1, max(edits.state.position, 1)))

    def plan(state: EditState) -> list[Operation | None]:
        voxels = applied(state.patches.all, STORED, WHOLE)
        ids = np.array([one], np.uint64)
        match kind:
            case "merge":
                return [merged(state, [one, other], "Ada")]
            case "cut":
                return [cut(state, edits.history, [ids], FRESH, "Bo")]
            case "paint":
                return [painted(state, WHOLE, voxels, mask, into, IDS, "Cy")]
            case "inside":
                own = mask & np.isin(voxels, state.segment_of(one))
                if not own.any():
                    return []
                return [cut_inside(state, edits.history, WHOLE, voxels, own, ids[:0], IDS, "Di")]
        return [undone(state, edits.history, [number], FRESH, who="Ed")]

    with suppress(Absent, BadRequest, Conflict):
        edits.append(lambda state: filter(None, plan(state)))


def checked(steps: int, opened: Callable[[ChannelEdits], ChannelEdits], data: Any) -> None:
    channel = ChannelEdits("/x", MemoryLog())
    edits = opened(channel)
    tiles = [Tile(box) for box in TILES]
    states = [edits.state]
    for _ in range(steps):
        edited(data.draw(st.sampled_from([channel, edits])), data)
        for state in (edits.state, channel.state, edits.state.patched):
            for tile in tiles:
                tile.check(state)
        states += [edits.state, channel.at(data.draw(st.integers(0, channel.state.position)))]
    for state in data.draw(st.lists(st.sampled_from(states), max_size=6)):
        for tile in tiles:
            tile.check(state)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.data())
def test_tiles_follow_a_channel(steps: int, data: st.DataObject) -> None:
    checked(steps, lambda channel: channel, data)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.integers(0, 3), st.data())
def test_tiles_follow_a_channel_and_its_branch(
    steps: int, before: int, data: st.DataObject
) -> None:
    def opened(channel: ChannelEdits) -> ChannelEdits:
        for _ in range(before):
            edited(channel, data)
        last = channel.state.position
        return BranchEdits(channel, last, MemoryLog(), "branch", "branch", 1)

    checked(steps, opened, data)


def test_a_patch_elsewhere_leaves_a_tile_as_it_is() -> None:
    edits = ChannelEdits("/x", MemoryLog())
    first, last = (Tile(box) for box in TILES)
    for tile in (first, last):
        tile.check(edits.state)
    key = "", False
    held = first.held[key], last.held[key]
    mask = np.zeros(SHAPE, bool)
    mask[0, 0, 5] = True
    box = BoundingBox((0, 0, 5), (1, 1, 6))
    edits.append(
        lambda state: [
            painted(state, box, STORED[box.slices], mask[box.slices], None, IDS, "Ada"),
        ]
    )
    for tile in (first, last):
        tile.check(edits.state)
    assert first.held[key] is held[0]
    assert last.held[key] is not held[1]
