"""Patches in the log: voxels, segments, past states, undo and redo, against a plain model."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfly.databases.sqlite import Sqlite
from bfly.edits import channel as channels
from bfly.edits.channel import ChannelEdits
from bfly.edits.cut import cut
from bfly.edits.edges import lists_of
from bfly.edits.log import MemoryLog
from bfly.edits.merge import merged
from bfly.edits.patch import Fresh, cut_inside, painted
from bfly.edits.patch_runs import packed_changes, unpacked_runs
from bfly.edits.undo import redone, undone
from bfly.errors import Absent, BadRequest, Conflict, SourceError
from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME

FRESH = 100
IDS = Fresh(FRESH, 2**32 - 1)
SHAPE = (3, 4, 6)


def stored() -> Any:
    """Return supervoxels 0 to 8 in blocks."""
    labels = np.repeat(np.arange(9, dtype=np.uint32), 8).reshape(SHAPE)
    labels.flags.writeable = False
    return labels


def ids(*numbers: int) -> Any:
    return np.array(numbers, np.uint64)


class Channel(ChannelEdits):
    """A channel with short words for its operations, on the voxels of `stored`."""

    def do(self, plan: Any) -> int:
        """Do what a plan says, if anything; return the last operation."""

        def operations(state: Any) -> list[Any]:
            operation = plan(state)
            return [operation] if operation else []

        self.append(operations)
        return self.state.position

    def patched(self, state: Any = None) -> Any:
        return (state or self.state).patches.apply(stored(), (0, 0, 0))

    def shown(self, state: Any = None) -> Any:
        state = state or self.state
        return state.segments(self.patched(state).ravel().astype(np.uint64)).reshape(SHAPE)

    def merge(self, *members: int) -> int:
        return self.do(lambda state: merged(state, members, "Ada"))

    def cut(self, *parts: list[int]) -> int:
        return self.do(lambda s: cut(s, self.history, [ids(*p) for p in parts], FRESH, "Bo"))

    def paint(self, mask: Any, into: int | None) -> int:
        box = BoundingBox.of_shape(SHAPE)
        return self.do(lambda s: painted(s, box, self.patched(s), mask, into, IDS, "Cy"))

    def inside(self, mask: Any, *part: int) -> int:
        box, log = BoundingBox.of_shape(SHAPE), self.history
        return self.do(
            lambda s: cut_inside(s, log, box, self.patched(s), mask, ids(*part), IDS, "Di")
        )

    def undo(self, *numbers: int) -> int:
        return self.do(lambda s: undone(s, self.history, numbers, FRESH, who="Cy"))

    def redo(self, *numbers: int) -> int:
        return self.do(lambda s: redone(s, self.history, numbers, FRESH, who="Cy"))


def grouped(image: Any) -> list[int]:
    """Return an image of segments as a partition of the voxels, whatever the names."""
    return [int(n) for n in np.unique(image, return_inverse=True)[1].ravel()]


def first_seen(image: Any) -> list[int]:
    seen: dict[int, int] = {}
    return [seen.setdefault(int(n), len(seen)) for n in image.ravel()]


def model(operations: list[Any]) -> Any:
    """Return the partition as if nothing that is taken back had ever been there."""

    def counts(one: Any) -> bool:
        return not any(one.id in each.undoes and counts(each) for each in operations)

    labels = stored().astype(np.uint64)
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(9))
    for each in operations:
        if each.undoes or not counts(each):
            continue
        graph.add_edges_from(each.adopts.tolist())
        owner = {
            one: number
            for number, part in enumerate(lists_of(each.parts, each.part_sizes))
            for one in part.tolist()
        }
        cuts = [edge for edge in graph.edges(keys=True) if owner.get(edge[0]) != owner.get(edge[1])]
        graph.remove_edges_from(cuts)
        graph.add_edges_from(each.edges.tolist())
        for members in lists_of(each.supervoxels, each.sizes):
            nx.add_path(graph, members.tolist())
        if len(each.runs):
            low, high = each.box.reshape(2, 3)
            flat = labels[tuple(map(slice, low, high))].reshape(-1)
            runs = unpacked_runs(each.runs)
            for first, length, pair in zip(*runs, strict=True):
                assert (flat[first : first + length] == each.pairs[pair, 0]).all()
                flat[first : first + length] = each.pairs[pair, 1]
            labels[tuple(map(slice, low, high))] = flat.reshape(high - low)
    owner = {one: min(c) for c in nx.connected_components(graph) for one in c}
    return np.vectorize(lambda one: owner.get(one, one))(labels)


def test_a_piece_that_comes_back_has_a_new_root_id() -> None:
    """Root ids are never used again, also for a new supervoxel on the background."""
    channel = Channel("/seg", MemoryLog())
    for make in (
        lambda: channel.inside(half(5)),
        lambda: channel.paint(stored() == 0, None),
    ):
        made = make()
        new = channel.state.patches.last
        (former,) = channel.state.numbers(ids(new)).tolist()
        channel.undo(made)
        again = channel.redo(made)
        (number,) = channel.state.numbers(ids(new)).tolist()
        assert number in channel.history.lineage.made(again)
        assert channel.history.lineage.replaced_by(former) == again


def test_a_patch_returns_only_to_the_voxels_that_it_found() -> None:
    """It was painted on what another one had erased, which is taken back together with its undo."""
    channel, mask = Channel("/seg", MemoryLog()), stored() == 2
    erased = channel.paint(mask, 0)
    painted_over = channel.paint(mask, None)
    taken = channel.undo(painted_over)
    with pytest.raises(Conflict, match=rf"{painted_over} changed voxels of theirs: {erased} "):
        channel.undo(erased, taken)
    channel.redo(painted_over)
    channel.undo(erased, painted_over)
    assert np.array_equal(channel.shown(), stored())


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_random_patches_equal_a_model(seed: int) -> None:
    """Voxels and segments at each state, for a second reader, and after all is taken back."""
    random = np.random.default_rng(seed)
    log = MemoryLog()
    channel = Channel("/seg", log)
    images = {0: channel.shown()}
    for _ in range(14):
        mask = np.zeros(SHAPE, bool)
        low = random.integers(0, SHAPE)
        mask[tuple(map(slice, low, low + random.integers(1, 4, 3)))] = True
        numbers = random.integers(1, channel.state.position + 2, 2).tolist()
        some = np.unique(channel.patched())[1:]
        a, b = random.choice(some, 2).tolist()
        try:
            match random.integers(0, 8):
                case 0 | 1:
                    channel.paint(mask, [None, 0, a][random.integers(0, 3)])
                case 2 | 3:
                    segment = channel.shown()[tuple(low)]
                    channel.inside(mask & (channel.shown() == segment))
                case 4:
                    channel.merge(a, b)
                case 5:
                    channel.cut([a])
                case 6:
                    channel.undo(*set(numbers))
                case 7:
                    channel.redo(*set(numbers))
        except (Absent, BadRequest, Conflict):
            pass
        images[channel.state.position] = channel.shown()
        assert first_seen(channel.shown()) == first_seen(model(list(channel.operations())))
        gone = channel.state.patches.gone
        assert not np.isin(gone, channel.patched()).any()
        assert not np.isin(channel.state.table()[0], gone).any()
    for position, image in images.items():
        assert np.array_equal(channel.shown(channel.at(position)), image)
    again = Channel("/seg", log)
    assert np.array_equal(again.shown(), channel.shown())
    made = [each.pairs[:, 1] for each in channel.operations()]
    new = np.concatenate([np.unique(each[each > 0]) for each in made])
    assert len(np.unique(new)) == len(new)
    standing = [
        each.id
        for each in channel.operations()
        if each.id not in channel.history.undone and not each.undoes
    ]
    if standing:
        channel.undo(*standing)
    assert np.array_equal(channel.patched(), stored())
    assert first_seen(channel.shown()) == first_seen(stored())


def half(label: int) -> Any:
    """Return a mask of half of the voxels of a supervoxel."""
    mask = stored() == label
    mask.ravel()[np.flatnonzero(mask)[4:]] = False
    return mask


def test_a_split_inside_parts_a_segment_and_undo_takes_all_back() -> None:
    """The rest keeps its id, the piece goes with the supervoxels of its side."""
    channel = Channel("/seg", MemoryLog())
    channel.merge(1, 2, 3)
    channel.inside(half(2), 1)
    patched, shown = channel.patched(), channel.shown()
    assert np.unique(patched[half(2)]).tolist() == [100]
    assert np.unique(patched[(stored() == 2) & ~half(2)]).tolist() == [2]
    assert np.unique(shown[np.isin(patched, [1, 100])]).tolist() == [1]
    assert np.unique(shown[np.isin(patched, [2, 3])]).tolist() == [2]
    assert channel.state.patches.became(ids(2)).tolist() == [2, 100]
    assert channel.state.patches.origins(ids(100)).tolist() == [2, 100]
    assert channel.history.lineage.replaced(2) == [1]
    assert channel.history.lineage.made(2) == range(2, 4)
    channel.undo(2)
    assert np.array_equal(channel.shown(), np.where(np.isin(stored(), [1, 2, 3]), 1, stored()))
    assert channel.state.table()[0].tolist() == [1, 2, 3]
    # An id is not used again, even if its patch was taken back.
    channel.inside(half(2))
    assert channel.patched().max() == 101
    with pytest.raises(Conflict, match=r"changed the same voxels later: 4 \(patch by Di"):
        channel.redo(2)
    channel.undo(4)
    channel.redo(2)
    assert np.array_equal(channel.shown(), shown)


def test_an_unedited_supervoxel_is_split() -> None:
    """The first operation on it has its lineage."""
    channel = Channel("/seg", MemoryLog())
    channel.inside(half(5))
    assert np.unique(channel.shown()[half(5)]).tolist() == [100]
    assert channel.state.numbers(ids(5, 100)).tolist() == [2, 1]
    assert channel.history.first_number(5) == 2


def test_paint_joins_erases_and_makes_segments() -> None:
    channel = Channel("/seg", MemoryLog())
    channel.merge(1, 2)
    channel.paint(half(3), 2)
    assert np.unique(channel.shown()[half(3)]).tolist() == [1]
    channel.paint(half(4), 0)
    assert not channel.shown()[half(4)].any()
    channel.paint(half(0), None)
    assert np.unique(channel.shown()[half(0)]).tolist() == [101]
    # Those that are in the segment already are left, and there may be nothing else.
    assert channel.paint(half(1), 2) == 4
    numbers = channel.state.numbers(ids(1, 3, 4, 101)).tolist()
    assert len(set(numbers)) == 4
    assert 0 not in numbers
    channel.undo(2, 3, 4)
    assert np.array_equal(channel.patched(), stored())
    assert channel.state.table()[0].tolist() == [1, 2, 3, 4]


def test_what_names_a_patched_supervoxel_is_taken_back_first() -> None:
    channel = Channel("/seg", MemoryLog())
    channel.inside(half(5))
    channel.merge(100, 6)
    with pytest.raises(Conflict, match=r"name the supervoxels that it made: 2 \(merge by Ada"):
        channel.undo(1)
    channel.inside(half(5) & (np.arange(72).reshape(SHAPE) % 2 == 0))
    with pytest.raises(Conflict, match=r"changed the same voxels later: 3 \(patch by Di"):
        channel.undo(1, 2)
    channel.undo(3)
    channel.undo(1, 2)
    with pytest.raises(Conflict, match=r"3 changed voxels of theirs: 1 \(patch by Di"):
        channel.redo(3)
    channel.redo(1, 2)
    channel.redo(3)
    channel.undo(1, 2, 3)
    assert np.array_equal(channel.shown(), stored())


def test_no_id_is_left() -> None:
    channel = Channel("/seg", MemoryLog())
    box = BoundingBox.of_shape(SHAPE)
    for first, last in ((9, 9), (256, 255)):
        fresh = Fresh(first, last)
        wanted = (stored() > 3) & (stored() < 6)
        with pytest.raises(BadRequest, match=f"allowed are {first} to {last}"):
            channel.do(
                lambda s, f=fresh, w=wanted: (
                    cut_inside(s, channel.history, box, stored(), w, ids(), f, "Di")
                    if f.first < 10
                    else painted(s, box, stored(), w, None, f, "Di")
                )
            )


def test_a_new_id_has_to_fit_a_replaced_file() -> None:
    """Other labels than those that were patched stay as they are."""
    channel = Channel("/seg", MemoryLog())
    mask = np.ones(SHAPE, bool)
    box = BoundingBox.of_shape(SHAPE)
    fresh = Fresh(300, 400)
    channel.do(lambda s: painted(s, box, stored(), mask, None, fresh, "Cy"))
    patches = channel.state.patches
    with pytest.raises(SourceError, match="The supervoxel 300 of the patch 1 is larger than uint8"):
        patches.apply(stored().astype("u1"), (0, 0, 0))
    other = np.full(SHAPE, 77, "u1")
    assert np.array_equal(patches.apply(other, (0, 0, 0)), other)


def test_ids_that_segments_have_as_names_are_left_out() -> None:
    """Names of a merge table may be any numbers."""
    from bfly.edits.merge_table import added

    channel = Channel("/seg", MemoryLog())
    channel.append(added(ids(1, 2, 3), ids(100, 100, 101), "Ada"))
    channel.paint(half(6), None)
    assert channel.patched().max() == 102


def test_a_snapshot_knows_all_patches(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that count, those that are taken back, and the largest id."""
    monkeypatch.setattr(channels, "OFTEN", 1000)
    log = Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()
    channel = Channel("/seg", log)
    for label in (1, 2, 3):
        channel.paint(half(label), None)
    channel.undo(3)
    channel._keep_now(channel.state)
    again = Channel("/seg", log)
    assert again._replay.snapshot == 4
    assert np.array_equal(again.shown(), channel.shown())
    assert again.state.patches.last == 102
    again.redo(3)
    assert again.patched().max() == 102
    channel.catch_up()
    assert np.array_equal(again.shown(), channel.shown())
    for position in (1, 2, 3):
        assert channel.patched(channel.at(position)).max() == 99 + position


labels = st.lists(st.integers(0, 3), min_size=60, max_size=60).map(
    lambda each: np.array(each, "u2").reshape(3, 4, 5)
)


@given(labels, labels, st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_runs_give_the_changes_of_any_box(before: Any, after: Any, corners: list[int]) -> None:
    pairs, packed = packed_changes(before, after)
    whole = BoundingBox.of_shape((3, 4, 5), (7, 8, 9))
    a, b = np.array(corners).reshape(2, 3)
    wanted = BoundingBox(tuple(np.minimum(a, b) + 6), tuple(np.maximum(a, b) + 10))
    places, pair = unpacked_runs(packed).inside(whole, wanted).voxels()
    found = np.full(wanted.shape, 9)
    both = wanted & whole
    inner, outer = both.relative_to(whole.start).slices, both.relative_to(wanted.start).slices
    found[outer] = before[inner]
    assert np.array_equal(found.ravel()[places], pairs[pair, 0])
    found.ravel()[places] = pairs[pair, 1]
    assert np.array_equal(found[outer], after[inner])
