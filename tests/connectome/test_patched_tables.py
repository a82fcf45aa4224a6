"""Synapses after patches: the segments of numpy at their positions."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bfly.connectome.edited_tables import Merged
from bfly.connectome.patched_tables import Patched
from bfly.databases.nodb import Nodb
from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.errors import ButterflyError
from bfly.geometry import BoundingBox, zyx
from bfly.keywords import RUNTIME
from bfly.storage.lru_cache import LruCache
from bfly.tables.columns import ENDS, concatenated, empty, typed
from tests.fixtures.patching import Patching

ORIGIN = np.array([3, -5, 10])

SHAPE = (6, 8, 10)


def stored() -> np.ndarray:
    return np.repeat(np.arange(8, dtype="u4"), 60).reshape(SHAPE)


def tables(
    pre: np.ndarray, post: np.ndarray, voxels: np.ndarray, has_ends: bool, **more: Any
) -> Nodb:
    """Return an engine with a synapse between each two voxels; its centre is the second."""
    rows: dict[str, Any] = {"__id": np.arange(len(pre)) * 3 + 1}
    for side, places in (("n1", pre), ("n2", post)):
        rows[side] = voxels[tuple(places.T)]
    rows |= dict(zip("zyx", (post + ORIGIN).T, strict=True))
    if has_ends:
        for names, places in zip(ENDS, (pre, post), strict=True):
            # A place within the voxel.
            rows |= dict(zip(names, (places + ORIGIN + 0.75).T.astype("f4"), strict=True))
    engine = Nodb("", RUNTIME())
    neurons = {"neuron": np.arange(1, 8), **{axis: np.arange(1, 8) for axis in "zyx"}}
    engine.replace("/", "", [typed("neuron", neurons)], [typed("synapse", {**rows, **more})])
    return engine


def merged(engine: Nodb, edits: Patching) -> Merged:
    state = edits.state
    patched = Patched(engine, state.patches, zyx(ORIGIN), LruCache(1 << 20))
    return Merged(patched, "/seg", state)


def pairs(synapses: dict[str, np.ndarray]) -> list[tuple[int, ...]]:
    columns = (synapses[name].tolist() for name in ("__id", "n1", "n2"))
    return sorted(zip(*columns, strict=True))


@example(17145689)  # painted where the voxels of another supervoxel were erased
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_synapses_are_those_of_the_segments_at_their_positions(seed: int) -> None:
    random = np.random.default_rng(seed)
    voxels = stored()
    edits = Patching(ChannelEdits("/seg", MemoryLog()), voxels)
    pre, post = random.integers(0, SHAPE, (2, 60, 3))
    engine = tables(pre, post, voxels, has_ends=True)
    for _ in range(5):
        try:
            edits.random(random)
        except ButterflyError:
            continue
        shown, both = edits.shown(), merged(engine, edits)
        n1, n2 = shown[tuple(pre.T)], shown[tuple(post.T)]
        numbers = np.arange(60) * 3 + 1
        expected = sorted(zip(numbers.tolist(), n1.tolist(), n2.tolist(), strict=True))
        assert pairs(concatenated("synapse", both.scan("/"))) == expected
        assert pairs(both.rows("synapse", "/", numbers.astype("u8"))) == expected
        whole = BoundingBox((-99, -99, -99), (99, 99, 99))
        assert pairs(both.synapses_in("/", whole)) == expected
        assert pairs(both.thinned("/", 0, 99, whole)) == expected
        low = tuple((ORIGIN + random.integers(0, SHAPE)).tolist())
        box = BoundingBox(low, (99, 99, 99))
        inside = (post + ORIGIN >= low).all(axis=1)
        some = np.unique(np.concatenate([n1, n2, np.array([1], "u8")]))
        for segment in some[some > 0].tolist():
            own = [row for row in expected if segment in row[1:]]
            if not edits.state.is_name(np.array([segment], "u8"))[0]:
                own = []
            assert pairs(both.synapses_of("/", segment)) == own
            scanned = both.scan("/", neuron=segment)
            assert sorted(chain.from_iterable(map(pairs, scanned))) == own
            near = [row for row in own if inside[row[0] // 3]]
            assert pairs(both.synapses_of("/", segment, box)) == near
            after, before = both.partners("/", segment)
            assert sorted(after.tolist()) == sorted(row[2] for row in own if row[1] == segment)
            assert sorted(before.tolist()) == sorted(row[1] for row in own if row[2] == segment)
        ids, segments = np.arange(1, 8, dtype="u8"), edits.state.segments
        neurons = both.ids("neuron", "/")
        # Neuron 0 stands for the background, which synapses name.
        named = np.union1d(segments(ids), np.union1d(n1, n2))
        assert neurons[neurons > 0].tolist() == named[named > 0].tolist()
        assert both.count("neuron", "/") == len(neurons)
        scanned = concatenated("neuron", both.scan("/", table="neuron"))
        assert sorted(scanned["neuron"].tolist()) == neurons.tolist()
        assert both.rows("neuron", "/", neurons[::-1])["neuron"].tolist() == neurons[::-1].tolist()
        out, into = both.degrees("/", some)
        assert out.tolist() == [np.count_nonzero(n1 == one) for one in some]
        assert into.tolist() == [np.count_nonzero(n2 == one) for one in some]


def test_a_position_alone_counts_for_the_side_that_is_there() -> None:
    voxels = stored()
    edits = Patching(ChannelEdits("/seg", MemoryLog()), voxels)
    # Synapses from 1 to 2, at places of 2, and one at a place of 1.
    pre, post = np.argwhere(voxels == 1)[:4], np.argwhere(voxels == 2)[:4]
    post[3] = pre[3]
    engine = tables(pre, post, voxels, has_ends=False)
    engine.amend("synapse", "/", {"__id": np.array([10]), "n2": np.array([2])})
    mask = np.zeros(SHAPE, bool)
    mask[tuple(post[1:].T)] = True
    edits.paint(mask, None)
    new = edits.state.patches.last
    found = concatenated("synapse", merged(engine, edits).scan("/"))
    assert pairs(found) == [(1, 1, 2), (4, 1, new), (7, 1, new), (10, new, 2)]
    assert pairs(merged(engine, edits).synapses_of("/", 2)) == [(1, 1, 2), (10, new, 2)]


def test_without_a_position_a_side_keeps_its_supervoxel() -> None:
    voxels = stored()
    edits = Patching(ChannelEdits("/seg", MemoryLog()), voxels)
    pre, post = np.argwhere(voxels == 1)[:2], np.argwhere(voxels == 2)[:2]
    missing = {
        name: np.array([np.nan, place], "f4")
        for name, place in zip(ENDS[0], (pre[1] + ORIGIN).tolist(), strict=True)
    }
    engine = tables(pre, post, voxels, has_ends=True, **missing)
    edits.paint(voxels == 1, None)
    new = edits.state.patches.last
    found = concatenated("synapse", merged(engine, edits).scan("/"))
    assert pairs(found) == [(1, 1, 2), (4, new, 2)]


@pytest.mark.parametrize("has_ends", [False, True])
def test_erased_and_taken_back(has_ends: bool) -> None:
    voxels = stored()
    edits = Patching(ChannelEdits("/seg", MemoryLog()), voxels)
    pre, post = np.argwhere(voxels == 1)[:2], np.argwhere(voxels == 2)[:2]
    engine = tables(pre, post, voxels, has_ends)
    edits.paint(voxels == 2, 0)
    both = merged(engine, edits)
    assert pairs(concatenated("synapse", both.scan("/"))) == [(1, 1, 0), (4, 1, 0)]
    assert pairs(both.synapses_of("/", 2)) == []
    state = both.state("/")
    edits.undo(1)
    both = merged(engine, edits)
    assert pairs(both.synapses_of("/", 2)) == [(1, 1, 2), (4, 1, 2)]
    assert both.state("/") != state


def test_a_table_without_rows() -> None:
    engine = Nodb("", RUNTIME())
    engine.replace("/", "", [empty("neuron")], [empty("synapse")])
    edits = Patching(ChannelEdits("/seg", MemoryLog()), stored())
    edits.paint(stored() == 1, None)
    assert pairs(merged(engine, edits).synapses_of("/", 1)) == []
