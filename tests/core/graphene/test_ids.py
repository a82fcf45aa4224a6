"""Ids of graphene: what clients tell of an id from its top bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.core.graphene.ids import LAYERS, MOST_BITS, GrapheneIds
from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.merge import merged
from bfly.errors import Absent, SourceError

if TYPE_CHECKING:
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

LARGEST = (1 << MOST_BITS - 1) - 1


def layer(ids: GrapheneIds, given: int) -> int:
    return given >> 64 - ids.layer_bits


@given(st.integers(1, LARGEST), st.integers(1, LARGEST), st.integers(1, 2**32 - 1))
def test_layers_are_apart_and_roots_above_all(largest: int, label: int, number: int) -> None:
    ids = GrapheneIds(largest)
    label = min(label, largest)
    supervoxel = int(ids.tagged(np.array([label], np.uint64))[0])
    unedited, edited = ids.root + label, ids.of_number(number)
    assert layer(ids, supervoxel) == 1
    assert layer(ids, unedited) == LAYERS
    assert supervoxel < unedited < edited or ids.number(edited) == number
    assert edited < 2**63
    assert ids.label(supervoxel) == ids.label(unedited) == ids.label(label) == label
    assert ids.number(edited) == number
    assert ids.number(unedited) == 0
    assert ids.is_root(unedited)
    assert ids.is_root(edited)
    assert not ids.is_root(supervoxel)


@pytest.mark.parametrize("largest", [2**32 - 1, 2**46])
def test_ids_fit_the_numbers_of_javascript(largest: int) -> None:
    ids = GrapheneIds(largest)
    assert ids.of_number(2**32 - 1) < 2**53


def test_too_large_labels_are_refused() -> None:
    with pytest.raises(SourceError, match="leaves no ids"):
        GrapheneIds(LARGEST + 1)


@pytest.mark.parametrize("wrong", [0, 3 << 40, 1 << 40, (1 << 40) + (1 << 39), 2**64 - 1])
def test_what_is_no_id_is_absent(wrong: int) -> None:
    ids = GrapheneIds(255)
    with pytest.raises(Absent, match=str(wrong)):
        ids.label(wrong)
    assert ids.labels(np.array([wrong], np.uint64)).tolist() == [0]


def test_a_change_gives_a_new_root() -> None:
    ids, channel = GrapheneIds(255), ChannelEdits("seg", MemoryLog())
    labels = np.array([0, 1, 2, 3], np.uint64)
    before = ids.roots(channel.state, labels).tolist()
    assert before == [0, ids.root + 1, ids.root + 2, ids.root + 3]

    def join(state: EditState) -> list[Operation]:
        operation = merged(state, [1, 2], "Ada")
        return [operation] if operation else []

    after = ids.roots(channel.append(join), labels).tolist()
    assert after[1] == after[2] == ids.of_number(1)
    assert after[3] == before[3]
