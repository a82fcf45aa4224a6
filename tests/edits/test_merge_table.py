"""Merge tables: imported and exported in each format by the command; all of FIB-25."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import h5py
import httpx
import numpy as np
import pytest
import yaml
from cloudvolume import CloudVolume

from bfly.butterfly import Butterfly
from bfly.cli import main
from bfly.core.core import Core
from bfly.edits.channel import ChannelEdits
from bfly.edits.files import read_table, write_table
from bfly.edits.log import MemoryLog
from bfly.edits.merge_table import added
from bfly.errors import BadRequest, SourceError
from bfly.server.webserver import Webserver

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = ("t.csv", "t.parquet", "t.h5", "t.hdf5", "t.merge.npy")
SPLIT = "5:2:0:9:1:8:2:7"


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def table(*rows: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return ids(*(s for s, _ in rows)), ids(*(s for _, s in rows))


def channel(*rows: tuple[int, int]) -> ChannelEdits:
    edits = ChannelEdits("/seg.h5", MemoryLog())
    edits.append(added(*table(*rows), "me"))
    return edits


def now(edits: ChannelEdits) -> dict[int, int]:
    return dict(np.transpose(edits.state.table()).tolist())


@pytest.mark.parametrize("name", ENDINGS)
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    rows = table((1, 7), (2**64 - 2, 7), (3, 3), (9, 2**53 + 1))
    for supervoxels, segments in (rows, table()):
        write_table(str(tmp_path / name), supervoxels, segments, [SPLIT])
        found = read_table(str(tmp_path / name))
        assert found[0].tolist() == supervoxels.tolist()
        assert found[1].tolist() == segments.tolist()
        assert found[2] == ((SPLIT,) if name.endswith("npy") else ())


def test_the_arrays_of_the_first_butterfly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "seg.merge.npy", np.array([[4, 4, 1], [5, 4, 1]], np.uint64))
    np.save(tmp_path / "seg.split.npy", np.array([[3, 6, 1, 10, 2, 9, 3, 8]], np.uint64))
    supervoxels, segments, splits = read_table(str(tmp_path / "seg.merge.npy"))
    assert (supervoxels.tolist(), segments.tolist(), splits) == ([3, 4], [3, 3], (SPLIT,))
    np.save(tmp_path / "seg.merge.npy", np.array([[4, 4, 1], [5, 4, 3]], np.uint64))
    supervoxels, segments, _ = read_table(str(tmp_path / "seg.merge.npy"))
    assert (supervoxels.tolist(), segments.tolist()) == ([3, 4], [3, 3])
    assert "merges 1 regions of splits: each is read as its supervoxel" in caplog.text


def test_other_columns_of_a_csv(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("segment, size,supervoxel\n7,1.5,1\n7,x,2\n")
    assert [c.tolist() for c in read_table(str(tmp_path / "t.csv"))[:2]] == [[1, 2], [7, 7]]
    (tmp_path / "t.csv").write_text("1,7\n2,7\n")
    assert [c.tolist() for c in read_table(str(tmp_path / "t.csv"))[:2]] == [[1, 2], [7, 7]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"supervoxel,body\n1,2\n", "has no column segment"),
        ("t.csv", b"supervoxel,segment\n1,x\n", "cannot be read"),
        ("t.csv", b"supervoxel,segment\n1,-2\n", "cannot be read"),
        ("t.parquet", b"no", "cannot be read"),
        ("t.h5", b"no", "cannot be read"),
        ("t.merge.npy", b"no", "cannot be read"),
    ],
)
def test_files_that_are_no_tables(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=said):
        read_table(str(tmp_path / name))


def test_files_of_other_names(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"t.txt does not end in one of \['.csv'"):
        read_table(str(tmp_path / "t.txt"))
    with pytest.raises(SourceError, match="cannot be read"):
        read_table(str(tmp_path / "none.csv"))


def test_a_table_is_merged_into_what_is_there() -> None:
    edits = channel((1, 7), (2, 7), (7, 2), (3, 3), (0, 0), (1, 7))
    assert now(edits) == {1: 7, 2: 7, 7: 2, 3: 3}
    position = edits.state.position
    # Again changes nothing; rows for a segment that is there are joined to it.
    edits.append(added(*table((1, 7), (2, 7), (7, 2), (3, 3)), "me"))
    assert edits.state.position == position
    edits.append(added(*table((4, 7), (5, 9), (3, 9)), "me"))
    assert now(edits) == {1: 7, 2: 7, 4: 7, 7: 2, 3: 9, 5: 9}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(5, 1), (5, 2)], "The supervoxel 5 is in two segments: 1 and 2."),
        ([(0, 1)], "The supervoxel 0, which is the background, is in segment 1."),
        ([(1, 8), (2, 9)], "Supervoxels of the segment 7, which are merged already"),
        ([(1, 8), (5, 7)], "Supervoxels of the segment 7, which are merged already"),
    ],
)
def test_tables_that_cannot_be(rows: list[tuple[int, int]], said: str) -> None:
    edits = channel((1, 7), (2, 7))
    with pytest.raises(BadRequest, match=said):
        edits.append(added(*table(*rows), "me"))
    assert now(edits) == {1: 7, 2: 7}


def test_segments_of_more_rows_than_an_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bfly.edits.merge_table.ROWS", 10)
    rows = [(number, 1000 + number // 37) for number in range(1, 100)]
    edits = channel(*rows)
    assert edits.state.position == 10
    assert now(edits) == dict(rows)


def test_snapshots_shorten_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bfly.databases.sqlite import Sqlite
    from bfly.keywords import RUNTIME

    monkeypatch.setattr("bfly.edits.channel.OFTEN", 20)
    log = Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()
    edits = ChannelEdits("/seg.h5", log)
    for number in range(1, 51):
        edits.append(added(*table((number, 7 + number % 3)), "me"))
        if edits._keeper:
            edits._keeper.join(20)
    assert [log.snapshot("/seg.h5", most)[0] for most in (19, 20, 39, 45)] == [0, 20, 20, 40]
    again = ChannelEdits("/seg.h5", log)
    assert now(again) == now(edits) == {n: 7 + n % 3 for n in range(1, 51)}
    state = again.at(33)
    assert dict(np.transpose(state.table()).tolist()) == {n: 7 + n % 3 for n in range(1, 34)}


def test_a_start_that_reads_many_operations_keeps_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bfly.databases.sqlite import Sqlite
    from bfly.keywords import RUNTIME

    log = Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()
    edits = ChannelEdits("/seg.h5", log)
    for number in range(1, 6):
        edits.append(added(*table((number, 7)), "me"))
    assert log.snapshot("/seg.h5", 5)[0] == 0
    monkeypatch.setattr("bfly.edits.channel.OFTEN", 5)
    again = ChannelEdits("/seg.h5", log)
    assert again._keeper
    again._keeper.join(20)
    assert log.snapshot("/seg.h5", 5)[0] == 5
    assert now(ChannelEdits("/seg.h5", log)) == now(edits)


def test_fib25(fib25: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(fib25 / "groundtruth.h5")
    channels = [{"name": "seg", "path": path, "kind": "segmentation"}]
    tree = [{"name": "d", "path": str(fib25), "channels": channels}]
    experiments = [{"name": "e", "samples": [{"name": "s", "datasets": tree}]}]
    settings = {"db-path": str(tmp_path / "bfly.db"), "experiments": experiments}
    config = tmp_path / "fib25.yaml"
    config.write_text(yaml.safe_dump({"bfly": settings}))
    with h5py.File(path) as file:
        supervoxels, bodies = file["stack"][:], file["transforms"][:]
    lookup = np.zeros(bodies[:, 0].max() + 1, np.uint32)
    lookup[bodies[:, 0]] = bodies[:, 1]
    assert len(np.unique(bodies[:, 1])) == 526
    assert main(["edits", "import", "-e", str(config), "e::s::d/seg", path]) == 0
    assert "21,317 rows were imported" in capsys.readouterr().err
    with contextlib.ExitStack() as stack:
        butterfly = Butterfly(str(config))
        server = Webserver(butterfly.database(), butterfly.config)
        thread = threading.Thread(target=server.start, args=(0,), daemon=True)
        thread.start()
        stack.callback(thread.join, 15)
        stack.callback(server.stop)
        assert server.wait()
        address = f"http://127.0.0.1:{server.port}"
        at = {"experiment": "e", "sample": "s", "dataset": "d", "channel": "seg", "format": "raw"}
        box = {"x": 0, "y": 0, "z": 0, "width": 250, "height": 250, "depth": 250}
        raw = httpx.get(f"{address}/api/data", params={**at, **box}, timeout=60).content
        assert np.array_equal(np.frombuffer(raw, "u4"), lookup[supervoxels].ravel())
        stored = {**at, **box, "labels": "supervoxels"}
        raw = httpx.get(f"{address}/api/data", params=stored, timeout=60).content
        assert np.array_equal(np.frombuffer(raw, "u4"), supervoxels.ravel().astype("u4"))
        volume = CloudVolume(
            f"precomputed://{address}/pre/e::s::d/seg", progress=False, use_https=False
        )
        seen = np.asarray(volume[:, :, :])[..., 0].T
        assert np.array_equal(seen, lookup[supervoxels])
    for name in ENDINGS:
        out = str(tmp_path / name)
        assert main(["edits", "export", "-e", str(config), "e::s::d/seg", out]) == 0
        found = dict(np.transpose(read_table(out)[:2]).tolist())
        assert found == {int(s): int(b) for s, b in bodies if s}
    assert main(["edits", "log", "-e", str(config), "seg"]) == 0
    assert "\timport\ton 0\t" in capsys.readouterr().out
    core = Core(Butterfly(str(config)).database())
    assert core.edits.channel(path).state.position == 1


def test_what_the_command_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name, dtype in (("seg", "u2"), ("em", "u1")):
        with h5py.File(tmp_path / "data" / f"{name}.h5", "w") as file:
            file["main"] = np.zeros((2, 3, 4), dtype)
    (tmp_path / "t.csv").write_text("supervoxel,segment\n1,70000\n")
    start = ["edits", "import", "-e", "data"]
    for words, said in (
        ([*start, "root::data::data/seg.h5"], "import takes a TABLE"),
        ([*start, "data/none", "t.csv"], "data/none is not the name of a channel; allowed are"),
        ([*start, "em.h5", "t.csv"], "only a segmentation has edits"),
        ([*start, "root::data::data/seg.h5", "t.csv"], "ids above 65535"),
    ):
        assert main(words) == 1
        assert said in capsys.readouterr().err
