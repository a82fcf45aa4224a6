"""Edits of the first Butterfly: they are served, and edited on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.butterfly import Butterfly
from bfly.core.core import Core
from tests.fixtures.lab import AT, BOX, LABELS, text, voxels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MERGED = np.where(LABELS == 5, 3, LABELS)
SPLIT = "7:1:0:1:0:2:0:1"


def first_edits(path: Path, merge: list[list[int]]) -> None:
    """Write tables as the first Butterfly did: all numbers are plus 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(f"{path}.merge.npy", np.array(merge, np.uint64) + np.uint64(1))
    supervoxel, region, *box = map(int, SPLIT.split(":"))
    np.save(f"{path}.split.npy", np.array([[region, supervoxel, *box]], np.uint64) + np.uint64(1))


def placed(lab: Path, edit_path: str) -> Path:
    """Return where the first Butterfly kept the edits of the channel."""
    channel = lab / "data" / "seg.h5"
    return lab / edit_path / str(channel).lstrip("/") if edit_path != "/" else channel


@pytest.mark.parametrize("edit_path", ["edits", "/"])
def test_edits_of_the_first_butterfly_go_on(
    edit_path: str, lab: Path, served: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    first = placed(lab, edit_path)
    first_edits(first, [[3, 3, 0], [5, 3, 0]])
    for start in range(2):
        with served(text(f"edit-path: {edit_path}")) as client:
            assert np.array_equal(voxels(client), MERGED)
        begun = [line for line in caplog.messages if "begin with 2 rows and 1 splits" in line]
        assert len(begun) == (start == 0)
    assert (lab / "edits" / "bfly-edits.db").exists() is (edit_path == "edits")
    butterfly = Butterfly(str(lab / "bfly.yaml"))
    core = Core(butterfly.database())
    channel = core.edits.channel(str(lab / "data" / "seg.h5"))
    core.close()
    assert channel.state.splits == (SPLIT,)
    assert [operation.kind for operation in channel.operations()] == ["import", "split"]
    assert np.load(f"{first}.merge.npy").tolist() == [[4, 4, 1], [6, 4, 1]]


@pytest.mark.parametrize(
    ("merge", "why"),
    [
        ([[3, 3, 0], [3, 5, 0]], "The supervoxel 3 is in two segments"),
        ([[3, 3]], "does not hold rows of the first Butterfly"),
    ],
)
def test_edits_that_cannot_be_read_are_not_left_out(
    merge: list[list[int]], why: str, lab: Path, served: Callable[[str], Any]
) -> None:
    first_edits(placed(lab, "edits"), merge)
    with h5py.File(lab / "data" / "other.h5", "w") as file:
        file["main"] = LABELS
    both = text(
        "edit-path: edits", channel="path: data/seg.h5\n        - {name: o, path: data/other.h5}"
    )
    with served(both) as client:
        answer = client.get("/api/data", params={**AT, **BOX, "channel": "c"})
        assert answer.status_code == 503
        assert why in answer.text
        assert np.array_equal(voxels(client, "o"), LABELS)
