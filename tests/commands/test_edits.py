"""``bfly edits``: what shows and takes back operations."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import yaml

from bfly.cli import main
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.message import Save
from bfly.edits.stored_edges import EdgeStore, stored_between
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration with a channel that two users have merged segments of."""
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = np.arange(1, 65, dtype="u4").reshape(4, 4, 4)
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5"), "kind": "segmentation"}
    dataset = {"name": "d", "path": str(tmp_path), "channels": [channel]}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    database = str(tmp_path / "bfly.db")
    settings = {"experiments": tree, "db-type": "Sqlite", "db-path": database}
    path = tmp_path / "bfly.yaml"
    path.write_text(yaml.safe_dump({"bfly": settings}))
    edits = ChannelEdits(channel["path"], Sqlite(database, RUNTIME()).edit_log())
    for ids, who in (((1, 2), "Ada"), ((3, 4), "Bo"), ((5, 6), "Ada")):
        edits.append(lambda state, ids=ids, who=who: Save((ids,), ()).operations(state, who, None))
    return str(path)


def run(*words: str) -> int | str | None:
    try:
        return main(["edits", *words])
    except SystemExit as ended:
        return ended.code


def test_operations_are_shown_taken_back_and_done_again(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*words: str) -> Any:
        assert run(*words, "-e", config) == 0
        return json.loads(capsys.readouterr().out)

    assert told("show", "seg", "2")["segments"][0]["id"] == "3"
    assert told("undo", "seg", "2")["undoes"] == [2]
    assert told("show", "seg", "2")["undone_by"] == 4
    assert told("redo", "seg", "2")["kind"] == "undo"
    assert told("undo", "seg", "--by", "Ada")["undoes"] == [1, 3]
    run("log", "seg", "-e", config)
    assert [line.split("\t")[3] for line in capsys.readouterr().out.splitlines()] == [
        *["merge"] * 3,
        *["undo"] * 3,
    ]


def test_a_table_of_edges_is_kept_for_splits(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "edges.csv"
    for rows, said in (
        ("1,2,0.5\n2,3,0.25\n2,1,0.75\n", "2 edges are kept for splits"),
        ("1,2,0.5\n", "1 edges are kept for splits"),
        ("1,99999999999,0.5\n", "has ids above 4294967295"),
        ("1,1,0.5\n", "has an edge from a supervoxel to itself"),
    ):
        table.write_text(f"supervoxel_1,supervoxel_2,affinity\n{rows}")
        run("import", "seg", str(table), "-e", config)
        assert said in capsys.readouterr().err
    log = Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()
    assert isinstance(log, EdgeStore)
    assert log.last(str(tmp_path / "seg.h5")) == 3
    found = stored_between(log, str(tmp_path / "seg.h5"), np.arange(1, 9, dtype=np.uint64))
    assert (found.pairs.tolist(), found.weights.tolist()) == ([[1, 2]], [0.5])


def test_the_log_has_a_line_for_each_operation_with_what_it_did(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines(*words: str) -> list[str]:
        assert run("log", "seg", *words, "-e", config) == 0
        return capsys.readouterr().out.splitlines()

    first = lines()[0].split("\t")
    assert (first[0], first[2:]) == ("1", ["Ada", "merge", "on 0", "1 from 1 2"])
    assert re.fullmatch(r"20[0-9-]{8}T[0-9:]{8}Z", first[1])
    assert run("undo", "seg", "3", "-e", config) == 0
    assert json.loads(capsys.readouterr().out)["operation"] == 4
    assert lines()[-1].split("\t")[3:] == ["undo", "on 3", "of 3; 6 out of 5"]
    assert [line[0] for line in lines("--by", "Ada")] == ["1", "3"]
    assert [line[0] for line in lines("--limit", "2")] == ["3", "4"]
    assert [line[0] for line in lines("--by", "Ada", "--limit", "1")] == ["3"]
    assert [line[0] for line in lines("--since", "2020-01-01")] == ["1", "2", "3", "4"]
    assert lines("--since", "2999-01-01") == []
    assert lines("--since", "2999-01-01", "--limit", "5") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("log", "seg", "--limit", "0"), "The limit 0 is not from 1 to"),
        (("log", "seg", "--since", "soon"), "since soon is not a time"),
        (("show", "seg", "1", "--limit", "1"), "--limit is for log, not for show"),
        (("show", "seg", "--by", "Ada"), "--by is for log and undo, not for show"),
        (("redo", "seg", "--by", "Ada"), "--by is for log and undo, not for redo"),
        (("undo", "seg", "1", "--by", "Ada"), "undo takes operations, or by, but not both"),
        (("undo", "seg", "1", "--since", "2020-01-01"), "since is for undo with by only"),
        (("undo", "seg"), "undo takes the IDs of operations, or --by"),
        (("show", "seg", "1", "2"), "show takes the ID of an operation"),
        (("log", "seg", "1"), "log takes no TABLE"),
        (("undo", "seg", "9"), "There is no operation 9; the last one is 3"),
        (("undo", "seg", "x"), "operations x"),
        (("redo", "seg", "1"), "is not taken back"),
        (("undo", "seg", "--by", "Cy"), "There are no operations of Cy"),
        (("undo", "seg", "--by", "Ada", "--since", "soon"), "since soon is not a time"),
    ],
)
def test_what_cannot_be_done_is_said(
    words: tuple[str, ...], said: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "-e", config) not in (0, None)
    assert said in capsys.readouterr().err


def test_branches_snapshots_and_what_differs(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is addressed as CHANNEL@NAME in the other actions; a merge brings the branch back."""

    def said(*words: str) -> str:
        capsys.readouterr()
        assert run(*words, "-e", config) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    def table(*words: str) -> list[str]:
        said("export", words[0], str(tmp_path / "table.csv"), *words[1:])
        return (tmp_path / "table.csv").read_text().splitlines()[1:]

    made = json.loads(said("branch", "seg", "try", "--at", "2"))
    assert (made["name"], made["from"], made["at"]) == ("try", "main", 2)
    json.loads(said("snapshot", "seg", "v1", "--at", "1"))
    (tmp_path / "in.csv").write_text("supervoxel,segment\n7,7\n8,7\n")
    said("import", "seg@try", str(tmp_path / "in.csv"))
    said("undo", "seg@try", "1")
    assert table("seg") == ["1,1", "2,1", "3,3", "4,3", "5,5", "6,5"]
    assert table("seg@try") == ["1,1", "2,2", "3,3", "4,3", "7,7", "8,7"]
    assert table("seg", "--at", "try") == table("seg@try")
    assert table("seg", "--at", "v1") == table("seg@v1") == table("seg@1") == ["1,1", "2,1"]
    assert table("seg@try", "--at", "3") == table("seg@try@3")
    assert table("seg", "--at", "2020-01-01") == []
    listed = said("branch", "seg").splitlines()
    assert [line.split("\t")[:3] for line in listed] == [["try", "from main@2", "last 4"]]
    assert said("snapshot", "seg@try").startswith("v1\tfrom main@1\t")
    logged = said("log", "seg@try").splitlines()
    assert [line.split("\t")[3] for line in logged] == ["merge", "merge", "import", "undo"]
    assert len(said("log", "seg@2").splitlines()) == 2
    assert len(said("log", "seg@try@3", "--limit", "2").splitlines()) == 2
    assert said("diff", "seg@try", "main").splitlines() == [
        "-\t2 supervoxels\t1 -> 1 2",
        "-\t2 supervoxels\t5 -> 5 6",
        "-\t2 supervoxels\t7 8 -> 7",
    ]
    assert said("diff", "seg@try", "try") == ""
    assert json.loads(said("show", "seg@try", "4"))["undoes"] == [1]
    merged = json.loads(said("merge", "seg", "try"))
    assert merged["operations"] == [4, 5]
    assert table("seg") == ["1,1", "2,2", "3,3", "4,3", "5,5", "6,5", "7,7", "8,7"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("undo", "seg@v1", "1"), "This is the snapshot v1, which never changes"),
        (("import", "seg@1", "{table}"), "a past state, of 1, which never changes"),
        (("branch", "seg", "a", "b"), "branch takes the NAME of a branch to begin"),
        (("branch", "seg", "main"), "The name main is reserved"),
        (("diff", "seg"), "diff takes the STATE to compare with"),
        (("diff", "seg", "none"), "There is no branch or snapshot none"),
        (("log", "seg@none"), "There is no branch or snapshot none"),
        (("log", "none@v1"), "none@v1 is not the name of a channel; allowed are seg"),
        (("export", "seg", "{table}", "--at", "9"), "The operation 9 is not from 0 to 3"),
        (("export", "seg", "{table}", "--at", "a b"), "a b behind the @"),
        (("merge", "seg", "v1", "1=mine"), "1=mine is not OPERATION=ours"),
        (("merge", "seg", "v1"), "Nothing of v1 is left to be done here"),
        (("undo", "seg", "1", "--at", "1"), "--at is for export and branch and snapshot"),
    ],
)
def test_what_is_no_state_or_never_changes_is_said(
    config: str, tmp_path: Path, words: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").write_text("supervoxel,segment\n7,7\n8,7\n")
    run("snapshot", "seg", "v1", "-e", config)
    filled = [word.format(table=tmp_path / "table.csv") for word in words]
    assert run(*filled, "-e", config) == 1
    assert said in capsys.readouterr().err
