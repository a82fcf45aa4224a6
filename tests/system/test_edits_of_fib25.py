"""Random edits of FIB-25 against a plain graph of networkx: each state, live and rebuilt.

Merges, splits, patches, undos, and a branch. Forty operations in the suite; ``BFLY_TEST_LONG=1``
makes it 2,000.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from bfly.databases.sqlite import Sqlite
from bfly.edits import channel as channels
from bfly.edits.channel import ChannelEdits
from bfly.edits.edits import Edits
from bfly.edits.log import MemoryLog
from bfly.edits.replay import Replay
from bfly.keywords import RUNTIME
from tests.fixtures.edit_lab import Lab
from tests.fixtures.edit_line import ModelledLine, digest
from tests.fixtures.random_edits import RandomEdits

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

COUNT = 2000 if os.environ.get("BFLY_TEST_LONG") else 40
SEED = int(os.environ.get("BFLY_TEST_SEED", "0"))


def exported(lab: Lab, position: int) -> dict[int, int]:
    """Return the table that a process of its own writes of a state."""
    table = lab.config.parent / f"{position}.csv"
    words = ["edits", "export", "-e", str(lab.config), "seg", str(table), "--at", str(position)]
    subprocess.run([sys.executable, "-m", "bfly", *words], check=True, capture_output=True)
    rows = np.loadtxt(table, np.uint64, delimiter=",", skiprows=1, ndmin=2)
    return dict(rows.tolist())


def check_branch(line: ModelledLine) -> None:
    """Edit a branch of a line, and check each state of both."""
    lab, position = line.lab, COUNT // 2
    line.ask("branch", name="try", at=str(position))
    branch = line.begun(lab.core.edits.found(lab.path, "try").edits, position, line="try")
    edits = RandomEdits(branch, SEED + 1)
    edits.work(position + COUNT // 4)
    print(f"branch: {edits.done}; refused: {edits.refused}", file=sys.stderr)
    again = Edits(Sqlite(str(lab.log), RUNTIME()).edit_log())
    for channel in (branch.channel, again.found(lab.path, "try").edits):
        for number, (_, expected) in enumerate(branch.states):
            assert digest(channel.at(number), lab) == expected
    again.close()
    assert digest(line.channel.state, lab) == line.states[-1][1]


def test_random_edits_of_fib25(
    fib25: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "OFTEN", COUNT // 10)
    lab = Lab(fib25, tmp_path)
    line = ModelledLine(lab, lab.core.edits.channel(lab.path))
    edits = RandomEdits(line, SEED)
    edits.work(COUNT)
    print(f"{COUNT} operations: {edits.done}; refused: {edits.refused}", file=sys.stderr)
    # A state that was taken long ago is what it was, and rebuilt from the log it is the same:
    # from snapshots, and from the beginning.
    log = MemoryLog()
    with log.writing():
        for operation in line.channel.operations():
            log.append(lab.path, operation)
    for position, (state, expected) in enumerate(line.states):
        assert digest(state, lab) == expected
        assert digest(line.channel.at(position), lab) == expected
    for position in range(0, COUNT + 1, max(1, COUNT // 50)):
        assert digest(Replay(lab.path, log, position).state(), lab) == line.states[position][1]
    again = ChannelEdits(lab.path, Sqlite(str(lab.log), RUNTIME()).edit_log())
    assert digest(again.state, lab) == line.states[-1][1]
    for position in (COUNT - 1, *range(COUNT // 4, COUNT - 1, 500)):
        rows = exported(lab, position)
        ids = np.array(list(rows), np.uint64)
        assert line.states[position][0].segments(ids).tolist() == list(rows.values())
        numbers = line.states[position][0].numbers(lab.supervoxels)
        assert set(lab.supervoxels[numbers > 0].tolist()) <= set(rows)
    check_branch(line)
    # All at once.
    stands = [
        number
        for number, step in enumerate(line.model.steps, 1)
        if not step.undoes and number not in line.model.undone
    ]
    line.check(*edits.undone("undo", stands), edits.random)
    # Each stored label is a segment of its own name again.
    assert np.array_equal(line.names[: len(lab.supervoxels)], lab.supervoxels)
    assert np.array_equal(lab.patched(line.channel.state), lab.near_of(lab.voxels))
    line.check(*edits.undone("redo", stands, {len(line.model.steps)}), edits.random)
    then, _ = line.states[COUNT]
    pairs = np.unique(np.stack([line.names, then.segments(line.supervoxels)]), axis=1)
    pairs = pairs[:, pairs[0] > 0]
    assert len(pairs.T) == len(np.unique(pairs[0])) == len(np.unique(pairs[1]))
