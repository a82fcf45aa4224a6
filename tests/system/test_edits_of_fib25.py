"""Random edits of FIB-25 against a plain graph of networkx: each state, live and rebuilt.

Forty operations in the suite; ``BFLY_TEST_LONG=1`` makes it 2,000.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import h5py
import networkx as nx
import numpy as np
import pytest
import yaml

from bfly.butterfly import Butterfly
from bfly.core.core import Core
from bfly.databases.sqlite import Sqlite
from bfly.edits import channel as channels
from bfly.edits.channel import ChannelEdits
from bfly.edits.history import lists_of
from bfly.edits.log import MemoryLog
from bfly.edits.merge_table import added
from bfly.edits.replay import Replay
from bfly.errors import BadRequest, Conflict
from bfly.keywords import RUNTIME
from bfly.protocols.protocol import channel_words
from bfly.queries.edits import EditsQuery
from bfly.splitting.refusal import SplitRefused
from tests.fixtures.edit_model import Model, Step, changed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

COUNT = 2000 if os.environ.get("BFLY_TEST_LONG") else 40
SEED = int(os.environ.get("BFLY_TEST_SEED", "0"))
USERS = "Ada", "Bo", "Cy", "Di"
BOX = slice(100, 150)
"""Most edits are of the supervoxels in this box, so that they meet."""


class NothingToDo(Exception):
    """An edit of the chosen kind makes no sense in this state."""


def digest(state: EditState, supervoxels: np.ndarray) -> bytes:
    """Return what stands for the names and numbers of all supervoxels."""
    names, numbers = state.segments(supervoxels), state.numbers(supervoxels)
    return hashlib.sha256(names.tobytes() + numbers.tobytes()).digest()


class Lab:
    """FIB-25, its edits, and the model of them."""

    def __init__(self, folder: Path, tmp_path: Path) -> None:
        paths = {"seg": folder / "groundtruth.h5", "em": folder / "grayscale"}
        kinds = {"seg": "segmentation", "em": "image"}
        listed = [{"name": n, "path": str(p), "kind": kinds[n]} for n, p in paths.items()]
        dataset = {"name": "d", "path": str(folder), "channels": listed}
        tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
        settings = {"experiments": tree, "pyramid": {"folder": str(tmp_path / "kept")}}
        self.config = tmp_path / "bfly.yaml"
        self.log = tmp_path / "bfly.db"
        stored = {**settings, "db-type": "Sqlite", "db-path": str(self.log)}
        self.config.write_text(yaml.safe_dump({"bfly": stored}))
        butterfly = Butterfly(str(self.config))
        self.core = Core(butterfly.database())
        found = butterfly.config.dataset("e", "s", "d").channels
        self.words, self.image = map(channel_words, found)
        self.path = str(paths["seg"])
        self.channel = self.core.edits.channel(self.path)
        with h5py.File(paths["seg"]) as file:
            voxels = file["stack"][:].astype(np.uint64)
        self.supervoxels = np.unique(voxels)
        box = voxels[BOX, BOX, BOX]
        self.near, first = np.unique(box, return_index=True)
        places = np.transpose(np.unravel_index(first, box.shape)) + BOX.start
        self.points = dict(zip(self.near.tolist(), places[:, ::-1].tolist(), strict=True))
        self.near = self.near[self.near > 0]
        faces = [(box[:-1], box[1:]), (box[:, :-1], box[:, 1:]), (box[..., :-1], box[..., 1:])]
        pairs = np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b in faces])
        self.contacts = np.unique(pairs[(pairs[:, 0] != pairs[:, 1]) & (pairs > 0).all(1)], axis=0)
        self.random = np.random.default_rng(SEED)
        self.model = Model(self.supervoxels)
        self.names, self.numbers = self.supervoxels, np.zeros(len(self.supervoxels), np.uint64)
        self.lineage = nx.DiGraph()
        self.made_by: dict[int, int] = {}
        self.states = [(self.channel.state, digest(self.channel.state, self.supervoxels))]
        self.refused: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self.asked = 0

    def ask(self, action: str, **asked: Any) -> Any:
        """Return the answer to a request of the API."""
        words = {**self.words, "beside": [self.image]}
        query = EditsQuery(action=action, asked=asked, **words)
        return json.loads(self.core.proofreading.answer(query))

    def edit(self, action: str, **asked: Any) -> Operation:
        """Make an edit as some user, sometimes twice; return what the log has of it."""
        self.asked += 1
        body = {"user": str(self.random.choice(USERS)), "key": f"k{self.asked}", **asked}
        told = self.ask(action, **body)
        if self.random.random() < 0.05:
            assert self.ask(action, **body) == told
        (operation,) = self.channel.history.operations([told["operation"]])
        assert (operation.who, operation.key) == (body["user"], body["key"])
        return operation

    def name(self, supervoxel: int) -> int:
        return int(self.names[np.searchsorted(self.supervoxels, supervoxel)])

    def label(self, supervoxel: int) -> int:
        return int(self.model.labels[np.searchsorted(self.supervoxels, supervoxel)])

    def meant(self, given: int) -> int:
        """Return the label of the segment with a name, or else that of the supervoxel."""
        named = np.flatnonzero(self.names == given)
        return int(self.model.labels[named[0]]) if len(named) else self.label(given)

    def some(self, count: int) -> list[int]:
        if self.random.random() < 0.8:
            return self.random.choice(self.contacts).tolist()
        return self.random.choice(self.near, count, replace=False).tolist()

    # What may be done. Each returns the operation and the step of the model.

    def merge(self) -> tuple[Operation, Step]:
        some = self.some(self.random.integers(2, 5))
        if self.random.random() < 0.3:
            name, joined = self.name(some[0]), set(map(self.label, some))
            self._expect_two(joined, points=[self.points[one] for one in some])
            operation = self.edit("merge", points=[self.points[one] for one in some])
            assert operation.points[:, ::-1].tolist() == [self.points[one] for one in some]
        else:
            ids = [self.name(one) if self.random.random() < 0.5 else one for one in some]
            name, joined = ids[0], set(map(self.meant, ids))
            self._expect_two(joined, ids=ids)
            operation = self.edit("merge", ids=ids)
        chain = operation.supervoxels.tolist()
        assert (operation.kind, operation.names.tolist()) == ("merge", [name])
        assert set(map(self.label, chain)) == joined
        return operation, Step(operation.who, operation.time, chains=[chain])

    def _expect_two(self, joined: set[int], **asked: Any) -> None:
        """Check that a merge of one segment alone is refused."""
        if len(joined) < 2:
            with pytest.raises(BadRequest, match="one segment already"):
                self.ask("merge", **asked)
            raise NothingToDo

    def table(self) -> tuple[Operation, Step]:
        """Add rows of a table, with a supervoxel of another segment as the segment's id."""
        edited = self.supervoxels[(self.numbers > 0) & ~np.isin(self.supervoxels, self.names)]
        unedited = self.supervoxels[(self.numbers == 0) & (self.supervoxels > 0)]
        if not len(edited):
            raise NothingToDo
        rows = np.sort(self.random.choice(unedited, 3, replace=False))
        self.channel.append(added(rows, np.repeat(self.random.choice(edited), 3), "Ada"))
        (operation,) = self.channel.history.operations([self.channel.state.position])
        assert operation.supervoxels.tolist() == rows.tolist()
        return operation, Step("Ada", operation.time, chains=[rows.tolist()])

    def large(self) -> list[int]:
        found, counts = np.unique(self.model.labels, return_counts=True)
        if counts.max() < 2:
            raise NothingToDo
        chosen = self.random.choice(found[counts > 1])
        return self.supervoxels[self.model.labels == chosen].tolist()

    def cut(self) -> tuple[Operation, Step]:
        members = self.random.permutation(self.large())
        ends = np.unique(self.random.integers(1, len(members), self.random.integers(1, 4)))
        groups = [set(each.tolist()) for each in np.split(members, ends)]
        listed = groups[self.random.integers(0, 2) :]
        operation = self.edit("split", parts=[[str(one) for one in each] for each in listed])
        step = self._parted(operation)
        assert {frozenset(each) for each in step.parts} <= {frozenset(each) for each in groups}
        assert len(step.parts) == len(groups) - 1
        return operation, step

    def split(self) -> tuple[Operation, Step]:
        members = [one for one in self.large() if one in self.points]
        if len(members) < 2:
            raise NothingToDo
        one, two = self.random.choice(members, 2, replace=False).tolist()
        asked = {"sources": [self.points[one]], "sinks": [self.points[two]]}
        preview = self.ask("preview", **asked)
        operation = self.edit("split", **asked)
        step = self._parted(operation)
        assert {frozenset(map(int, preview[side])) for side in ("sources", "sinks")} >= {
            frozenset(part) for part in step.parts
        }
        return operation, step

    def _parted(self, operation: Operation) -> Step:
        parts = [set(part.tolist()) for part in lists_of(operation.parts, operation.part_sizes)]
        holding = [(a, b) for a, b in operation.edges.tolist()]
        whole = set(self.model.members(self.model.labels, min(parts[0])))
        assert all(part < whole for part in parts)
        owner = {one: number for number, part in enumerate(parts) for one in part}
        assert all(owner.get(a) == owner.get(b) for a, b in holding)
        return Step(operation.who, operation.time, parts=parts, holding=holding)

    def undo(self) -> tuple[Operation, Step]:
        count = 1 if self.random.random() < 0.6 else self.random.integers(2, 6)
        numbers = self.random.integers(1, len(self.model.steps) + 1, count)
        return self._undone("undo", sorted(set(numbers.tolist())))

    def undo_latest(self) -> tuple[Operation, Step]:
        last = len(self.model.steps)
        return self._undone("undo", list(range(last, 0, -1))[: self.random.integers(1, 4)])

    def undo_by(self) -> tuple[Operation, Step]:
        who = str(self.random.choice(USERS))
        since = self.model.steps[-self.random.integers(1, min(30, len(self.model.steps)) + 1)].time
        numbers = [
            number
            for number, step in enumerate(self.model.steps, 1)
            if step.who == who and step.time >= since and not step.undoes
            and number not in self.model.undone
        ]  # fmt: skip
        if not numbers:
            raise NothingToDo
        return self._undone("undo", numbers, by=who, since=repr(since))

    def redo(self) -> tuple[Operation, Step]:
        undone = self.model.undone
        if not undone:
            raise NothingToDo
        taker = undone[int(self.random.choice(list(undone)))]
        asked = sorted(self.model.steps[taker - 1].undoes)
        return self._undone("redo", asked, {taker})

    def _undone(
        self, action: str, asked: list[int], taken: set[int] | None = None, **words: Any
    ) -> tuple[Operation, Step]:
        """Take back operations, and compare with what the model says about that."""
        taken = taken or set(asked)
        model = self.model
        verdicts = [
            number not in model.undone and model.can_be_taken_back(number, taken)
            for number in sorted(taken)[-6:]
        ]
        alters = not np.array_equal(model.without(taken), model.labels)
        try:
            operation = self.edit(action, **(words or {"operations": asked}))
        except Conflict as error:
            refusal = str(error)
        else:
            refusal = ""
        if refusal:
            is_possible = alters and all(verdict is True for verdict in verdicts)
            assert not is_possible or len(taken) > 6
            assert re.search(r"\d+ \((merge|cut|import|undo) by \w+, 20\d\d-", refusal)
            raise NothingToDo
        assert False not in verdicts
        assert alters
        assert operation.undoes == tuple(sorted(taken))
        return operation, Step(operation.who, operation.time, undoes=frozenset(taken))

    def check(self, operation: Operation, step: Step) -> None:
        """Do a step in the model, and compare all that is known after it."""
        before, numbers = self.model.labels, self.numbers
        self.model.do(step)
        state, labels, position = self.channel.state, self.model.labels, len(self.model.steps)
        assert operation.id == state.position == position
        self.names, self.numbers = (of(self.supervoxels) for of in (state.segments, state.numbers))
        pairs = np.unique(np.stack([labels.astype(np.uint64), self.names]), axis=1)
        assert len(pairs.T) == len(np.unique(labels)) == len(np.unique(self.names))
        # A root id is new if its segment has other members, and else it stays.
        new = changed(before, labels)
        assert np.array_equal(self.numbers != numbers, new)
        assert self.numbers[new].min() > numbers.max()
        assert len(np.unique(self.numbers[new])) == len(np.unique(labels[new]))
        self.made_by |= dict.fromkeys(self.numbers[new].tolist(), position)
        links = np.stack([numbers[new], self.numbers[new]], axis=1)
        self.lineage.add_nodes_from(self.numbers[new].tolist())
        self.lineage.add_edges_from(links[links[:, 0] > 0].tolist())
        assert dict(self.channel.history.undone) == self.model.undone
        one = int(self.random.choice(self.near))
        assert state.segment_of(one).tolist() == self.model.members(labels, one)
        self.check_lineage(int(self.random.choice(list(self.made_by))))
        self.states.append((state, digest(state, self.supervoxels)))

    def check_lineage(self, number: int) -> None:
        """Compare which operations led to a root id, and which followed."""
        past = {number, *nx.ancestors(self.lineage, number)}
        future = nx.descendants(self.lineage, number)
        told = self.ask("lineage", root=(1 << 32) + number)
        assert told["is_latest"] == (not future)
        for key, numbers in (("past", past), ("future", future)):
            expected = sorted({self.made_by[each] for each in numbers})[-1000:]
            assert [each["operation"] for each in told[key]] == expected

    def work(self, count: int) -> None:
        """Make some number of random edits."""
        kinds: dict[Callable[[], tuple[Operation, Step]], float] = {
            self.merge: 0.42, self.table: 0.03, self.cut: 0.2, self.split: 0.03, self.undo: 0.14,
            self.undo_latest: 0.08, self.undo_by: 0.04, self.redo: 0.06,
        }  # fmt: skip
        while len(self.model.steps) < count:
            kind = self.random.choice(list(kinds), p=list(kinds.values()))
            if not self.model.steps:
                kind = self.merge
            name = kind.__name__
            try:
                operation, step = kind()
            except (NothingToDo, SplitRefused):
                assert self.channel.state.position == len(self.model.steps)
                self.refused[name] = self.refused.get(name, 0) + 1
                continue
            self.done[name] = self.done.get(name, 0) + 1
            self.check(operation, step)


def exported(lab: Lab, position: int) -> dict[int, int]:
    """Return the table that a process of its own writes of a state."""
    table = lab.config.parent / f"{position}.csv"
    words = ["edits", "export", "-e", str(lab.config), "seg", str(table), "--at", str(position)]
    subprocess.run([sys.executable, "-m", "bfly", *words], check=True, capture_output=True)
    rows = np.loadtxt(table, np.uint64, delimiter=",", skiprows=1, ndmin=2)
    return dict(rows.tolist())


def test_random_edits_of_fib25(
    fib25: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "OFTEN", COUNT // 10)
    lab = Lab(fib25, tmp_path)
    lab.work(COUNT)
    print(f"{COUNT} operations: {lab.done}; refused: {lab.refused}", file=sys.stderr)
    everything = lab.supervoxels
    # A state that was taken long ago is what it was, and rebuilt from the log it is the same:
    # from snapshots, and from the beginning.
    log = MemoryLog()
    with log.writing():
        for operation in lab.channel.operations():
            log.append(lab.path, operation)
    for position, (state, expected) in enumerate(lab.states):
        assert digest(state, everything) == expected
        assert digest(lab.channel.at(position), everything) == expected
    for position in range(0, COUNT + 1, max(1, COUNT // 50)):
        assert (
            digest(Replay(lab.path, log, position).state(), everything) == lab.states[position][1]
        )
    again = ChannelEdits(lab.path, Sqlite(str(lab.log), RUNTIME()).edit_log())
    assert digest(again.state, everything) == lab.states[-1][1]
    for position in {COUNT // 2, COUNT}:
        rows = exported(lab, position)
        ids = np.array(list(rows), np.uint64)
        assert lab.states[position][0].segments(ids).tolist() == list(rows.values())
        numbers = lab.states[position][0].numbers(everything)
        assert set(everything[numbers > 0].tolist()) <= set(rows)
    # All at once.
    stands = [
        number
        for number, step in enumerate(lab.model.steps, 1)
        if not step.undoes and number not in lab.model.undone
    ]
    lab.check(*lab._undone("undo", stands))
    assert np.array_equal(lab.names, everything)
    lab.check(*lab._undone("redo", stands, {len(lab.model.steps)}))
    assert np.array_equal(lab.names, lab.states[COUNT][0].segments(everything))
