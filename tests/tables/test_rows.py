"""Tables of every format: all numbers exact, and each bad row named by its line."""

from __future__ import annotations

import csv
import gzip
import io
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.errors import ConfigError, SourceError
from bfly.storage.files import Files
from bfly.tables import ROWS, TableSource, batches
from bfly.tables.columns import concatenated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.tables.columns import Columns

IDS = st.integers(0, 2**64 - 1)
VOXELS = st.integers(-(2**53), 2**53)
ROOT = 648518346349539437
NAMES = ("id", "pre", "post", "z", "y", "x")
FOUND = ("__id", "n1", "n2", "z", "y", "x")
TYPES = [pa.uint64()] * 3 + [pa.int64()] * 3


def write_csv(table: Any) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return text.getvalue().encode()


def write_parquet(table: Any) -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink, row_group_size=7)
    return sink.getvalue()


def write_feather(table: Any) -> bytes:
    sink = io.BytesIO()
    pa.feather.write_feather(table, sink, chunksize=7)
    return sink.getvalue()


def write_stream(table: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return sink.getvalue()


WRITERS: dict[str, Callable[[Any], bytes]] = {
    "csv": write_csv,
    "csv.gz": lambda table: gzip.compress(write_csv(table)),
    "parquet": write_parquet,
    "feather": write_feather,
    "arrow": write_stream,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "bfly.tables")
    return caplog


def read(folder: Path, content: bytes | str, table: Any = "synapse", **said: Any) -> Columns:
    path = folder / "table"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return concatenated(table, batches(TableSource(table, str(path), **said), Files()))


def lists(columns: Columns) -> dict[str, list[Any]]:
    return {name: column.tolist() for name, column in columns.items()}


@pytest.mark.parametrize("kind", WRITERS)
@given(rows=st.lists(st.tuples(IDS, IDS, IDS, VOXELS, VOXELS, VOXELS), min_size=1, max_size=30))
def test_numbers_come_back(kind: str, folder: Path, rows: list[tuple[int, ...]]) -> None:
    columns = [pa.array(c, t) for c, t in zip(zip(*rows, strict=True), TYPES, strict=True)]
    found = read(folder, WRITERS[kind](pa.table(columns, names=list(NAMES))))
    assert list(found) == list(FOUND)
    assert list(zip(*lists(found).values(), strict=True)) == rows
    assert [str(column.dtype) for column in found.values()] == ["uint64"] * 3 + ["int64"] * 3


@pytest.mark.parametrize(
    "type_", [pa.int64(), pa.uint64(), pa.string(), pa.large_string(), pa.string_view()]
)
def test_ids_of_any_type_are_exact(folder: Path, type_: Any) -> None:
    numbers = [ROOT, 2**63 - 1, 0]
    ids = pa.array(map(str, numbers) if "string" in str(type_) else numbers, type_)
    zeros = pa.array([0, 0, 0])
    names = [*NAMES[1:], "same"]
    table = pa.table([ids, ids.dictionary_encode(), zeros, zeros, zeros, ids], names=names)
    found = lists(read(folder, write_stream(table)))
    assert found["n1"] == found["n2"] == list(map(int, found["same"])) == numbers
    assert found["__id"] == [0, 1, 2]


def test_floats_are_ids_as_far_as_they_are_exact(folder: Path) -> None:
    ids = pa.array([2.0**53, float("nan"), 1.5, 2.0**60, -1.0])
    table = pa.table([ids, *[pa.array([0] * 5)] * 4], names=list(NAMES[1:]))
    with pytest.raises(SourceError) as caught:
        read(folder, write_parquet(table))
    reasons = str(caught.value).splitlines()
    assert [line.strip().split(";")[0] for line in reasons[1:-1]] == [
        "row 2: pre is 1.5",
        f"row 3: pre is {2.0**60!r}",
        "row 4: pre is -1.0",
    ]
    found = read(folder, write_parquet(table), skip_bad_rows=True)
    assert lists(found)["n1"] == [2**53, 0]
    assert lists(found)["__id"] == [0, 1]


HEAD = "id,pre,post,z,y,x,score\n"
BAD = f"""{HEAD}1,2,3,4,5,6,0.5
one,2,3,4,5,6,0.5

2,-2,3,4,5,6,0.5
3,{2**64},3,4,5,6,0.5
4,8.64e17,3,4,5,6,0.5
,2,3,4,5,6,0.5
5,2,3,4,5
6,2,3,4,5,6,7,8
7,2,3,4,,6,0.5
8,2,3,4,5,deep,0.5
9,2,3,4,inf,6,0.5
10,2,3,1e300,5,6,0.5
11,0x10,1_0,4,5,6,0.5
12, {ROOT} ,+3,4.9,-0.1,1e2,0.25

"""
REASONS = [
    "line 3: id is 'one'",
    "line 5: pre is '-2'",
    f"line 6: pre is '{2**64}'",
    "line 7: pre is '8.64e17'",
    "line 8: id is empty",
    "line 9: 5 values in 7 columns",
    "line 10: 8 values in 7 columns",
    "line 11: z is '4', y is empty, x is '6'",
    "line 12: z is '4', y is '5', x is 'deep'",
    "line 13: z is '4', y is 'inf', x is '6'",
]


def test_bad_rows_are_counted_and_the_first_ten_told_by_their_lines(folder: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read(folder, BAD)
    first, *told, last = str(caught.value).splitlines()
    assert first.endswith("table has 12 bad rows, the first are")
    assert [line.strip().split("; allowed")[0] for line in told] == REASONS
    assert f"allowed is a whole number from 0 to {2**64 - 1}" in told[0]
    assert "allowed is three numbers from -9007199254740992 to 9007199254740992" in told[7]
    assert "skip-bad-rows" in last


def test_bad_rows_can_be_skipped(folder: Path, warnings: pytest.LogCaptureFixture) -> None:
    found = lists(read(folder, BAD, skip_bad_rows=True))
    assert found == {
        "__id": [1, 12],
        "n1": [2, ROOT],
        "n2": [3, 3],
        "z": [4, 4],
        "y": [5, -1],
        "x": [6, 100],
        "score": [0.5, 0.25],
    }
    assert "12 bad rows" in warnings.text
    assert all(reason in warnings.text for reason in REASONS)


def test_a_synapse_may_lack_a_neuron(folder: Path) -> None:
    found = lists(read(folder, "id,pre,post,z,y,x\n7,,3,0,0,0\n8,0,nan,0,0,0\n"))
    assert (found["n1"], found["n2"]) == ([0, 0], [3, 0])


@pytest.mark.parametrize(
    "position", ["[6 5  4]", "[ 6. 5.2 4.9]", "6, 5, 4", "(6,5,4)", "[6.0e0, 5, 4]"]
)
def test_positions_in_one_column_of_text(folder: Path, position: str) -> None:
    table = pa.table({"pre": [1], "post": [2], "at": [position], "z": [9]})
    for write in (write_csv, write_parquet):
        found = lists(read(folder, write(table), columns={"position": "at"}))
        assert (found["z"], found["y"], found["x"]) == ([4], [5], [6])


@pytest.mark.parametrize("position", ["[6 5]", "[6 5 4 3]", "here", "[6 5 nan]"])
def test_positions_that_are_none(folder: Path, position: str) -> None:
    table = pa.table({"pre": [1], "post": [2], "at": [position]})
    with pytest.raises(SourceError, match=r"row 0: at is '.*'; allowed is three numbers"):
        read(folder, write_parquet(table), columns={"position": "at"})


@pytest.mark.parametrize(
    "type_", [pa.list_(pa.int32()), pa.large_list(pa.float64()), pa.list_(pa.int64(), 3)]
)
def test_positions_in_one_column_of_lists(folder: Path, type_: Any) -> None:
    at = pa.array([[6, 5, 4], None, [3, 2, 1]], type_)
    table = pa.table({"id": [1, 2, 3], "pt_root_id": [7, 8, 9], "pt_position": at})
    for start in (0, 1):
        found = lists(read(folder, write_feather(table.slice(start)), "neuron"))
        assert found["neuron"] == [7, 9][start:]
        assert (
            list(zip(found["z"], found["y"], found["x"], strict=True))
            == [
                (4, 5, 6),
                (1, 2, 3),
            ][start:]
        )


def test_lists_of_another_length_are_bad(folder: Path) -> None:
    at = pa.array([[6, 5, 4], [6, 5], [6, None, 4], [], [1, 2, 3, 4]])
    table = pa.table({"pre": [1] * 5, "post": [2] * 5, "ctr": at})
    with pytest.raises(SourceError) as caught:
        read(folder, write_parquet(table), columns={"position": "ctr"})
    reasons = [line.strip().split(";")[0] for line in str(caught.value).splitlines()[1:-1]]
    assert reasons == [
        "row 1: ctr is [6, 5]",
        "row 2: ctr is [6, None, 4]",
        "row 3: ctr is []",
        "row 4: ctr is [1, 2, 3, 4]",
    ]


def test_columns_of_other_types_are_bad(folder: Path) -> None:
    table = pa.table([pa.array([True]), pa.array([2]), *[pa.array([0])] * 3], names=list(NAMES[1:]))
    with pytest.raises(SourceError, match="row 0: pre is True; allowed is a whole number"):
        read(folder, write_parquet(table))


@given(
    st.lists(st.tuples(*[st.integers(-(10**9), 10**9)] * 3), min_size=1, max_size=10),
    st.tuples(*[st.floats(0.5, 100)] * 3),
)
def test_nm_become_the_voxels_they_came_from(
    folder: Path, voxels: list[tuple[int, ...]], size: tuple[float, float, float]
) -> None:
    names = [f"soma_{axis}_nm" for axis in "zyx"]
    nm = (np.array(voxels) * np.array(size)).T
    table = pa.table({"pt_root_id": [1] * len(voxels), **dict(zip(names, nm, strict=True))})
    table = table.set_column(0, "pt_root_id", pa.array(range(1, len(voxels) + 1)))
    for write in (write_csv, write_parquet):
        found = read(folder, write(table), "neuron", voxel_size=size)
        assert np.column_stack([found[axis] for axis in "zyx"]).tolist() == [*map(list, voxels)]


def test_nm_without_a_voxel_size_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"positions are in nm .* voxel_size of a channel"):
        read(folder, "id,pre,post,z,y,x\n1,2,3,4,5,6\n", units="nm")


def test_neurons_without_a_place_or_an_id_are_left_out(
    folder: Path, warnings: pytest.LogCaptureFixture
) -> None:
    content = 'bodyId,somaLocation,type\n7,,a\n0,"[1, 2, 3]",b\n9,"[1, 2, 3]",c\n'
    found = lists(read(folder, content, "neuron"))
    assert found == {"neuron": [9], "z": [3], "y": [2], "x": [1], "type": ["c"]}
    assert "2 rows are left out" in warnings.text
    with pytest.raises(SourceError, match="line 2: bodyId is empty"):
        read(folder, 'bodyId,somaLocation\n,"[1, 2, 3]"\n', "neuron")


EXTRAS = {
    "whole": [1, -2, 3],
    "large": pa.array([2**63, 2**64 - 1, 0], pa.uint64()),
    "real": [0.5, 1, float("nan")],
    "text": ["a", "", "1"],
    "quoted": ['say "so"', "two\nlines", "a,b"],
}


@pytest.mark.parametrize("kind", WRITERS)
def test_extra_columns_are_kept(kind: str, folder: Path) -> None:
    place = {name: [1, 2, 3] for name in NAMES}
    found = read(folder, WRITERS[kind](pa.table({**place, **EXTRAS})))
    dtypes = {name: found[name].dtype.str for name in EXTRAS}
    assert dtypes == {"whole": "<i8", "large": "<u8", "real": "<f8", "text": "|O", "quoted": "|O"}
    for name, values in EXTRAS.items():
        np.testing.assert_array_equal(found[name], np.asarray(values, found[name].dtype))


@pytest.mark.parametrize("kind", WRITERS)
def test_missing_extras_have_a_sign_of_their_own(kind: str, folder: Path) -> None:
    table = pa.table(
        {
            **{name: [1, 2] for name in NAMES},
            "few": pa.array([None, 2**53]),
            "exact": pa.array([2**53 + 1, None]),
            "named": pa.array([None, "b"]),
        }
    )
    found = read(folder, WRITERS[kind](table))
    np.testing.assert_array_equal(found["few"], [np.nan, 2.0**53])
    assert found["exact"].tolist() == [str(2**53 + 1), ""]
    assert found["named"].tolist() == ["", "b"]


ENDS = {
    "id,pre_pt_root_id,post_pt_root_id,ctr_pt_position,pre_pt_position,post_pt_position,size": (
        "7,1,2,[12 8 3],[10 7 2],[13 9 3],5"
    ),
    "id,pre_pt_root_id,post_pt_root_id,size,pre_pt_position_x,pre_pt_position_y,pre_pt_position_z,"
    "post_pt_position_x,post_pt_position_y,post_pt_position_z": "7,1,2,5,40,28,80,52,36,120",
    "id,pre_root_id,post_root_id,ctr_pt_x_nm,ctr_pt_y_nm,ctr_pt_z_nm,pre_pos_x_vx,pre_pos_y_vx,"
    "pre_pos_z_vx,post_pos_x_vx,post_pos_y_vx,post_pos_z_vx,size": (
        "7,1,2,48,32,120,10,7,2,13,9,3,5"
    ),
    "bodyId_pre,bodyId_post,x_pre,y_pre,z_pre,x_post,y_post,z_post,size": "1,2,10,7,2,13,9,3,5",
    "pre,post,x,y,z,pre_x,pre_y,pre_z,post_x,post_y,post_z,size": "1,2,12,8,3,10,7,2,13,9,3,5",
}


@pytest.mark.parametrize("head", ENDS)
def test_places_before_and_after_a_synapse_are_recognised(head: str, folder: Path) -> None:
    text = f"{head}\n{ENDS[head]}\n".encode()
    found = read(folder, text, voxel_size=(40, 4, 4))
    ends = ["pre_z", "pre_y", "pre_x", "post_z", "post_y", "post_x"]
    assert set(found) == {*FOUND, *ends, "size"}
    assert [found[name].tolist() for name in ends] == [[2], [7], [10], [3], [9], [13]]
    assert {found[name].dtype.str for name in ends} == {"<f4"}


@pytest.mark.parametrize("kind", WRITERS)
def test_an_end_may_be_unknown_but_not_wrong(kind: str, folder: Path) -> None:
    place = {name: [1, 2, 3] for name in NAMES}
    ends = {f"{side}_{axis}": [5.9, None, 7] for side in ("pre", "post") for axis in "xyz"}
    found = read(folder, WRITERS[kind](pa.table({**place, **ends})))
    for name in ends:
        np.testing.assert_array_equal(found[name], [5, np.nan, 7])
    wrong = {**place, **ends, "post_y": [1, None, None]}
    with pytest.raises(SourceError, match="post_y is empty"):
        read(folder, WRITERS[kind](pa.table(wrong)))


def test_one_end_alone_is_like_any_column(folder: Path) -> None:
    place = {name: [1] for name in NAMES}
    ends = {f"pre_{axis}": [5] for axis in "xyz"}
    found = read(folder, write_parquet(pa.table({**place, **ends})))
    assert found["pre_x"].dtype.str == "<i8"


def test_extras_of_unknown_types_are_left_out(
    folder: Path, warnings: pytest.LogCaptureFixture
) -> None:
    table = pa.table(
        {
            **{name: [1, 2] for name in NAMES},
            "valid": [True, False],
            "class": pa.array(["p", "q"]).dictionary_encode(),
            "small": pa.array([1, 2], pa.int16()),
            "half": pa.array(np.array([1, 2], np.float16)),
            "n1": [5, 6],
            "tags": [["a"], []],
        }
    )
    found = read(folder, write_parquet(table))
    assert list(found) == [*FOUND, "valid", "class", "small", "half"]
    assert (found["valid"].tolist(), found["class"].tolist()) == ([1, 0], ["p", "q"])
    assert str(found["small"].dtype) == "int16"
    assert found["n1"].tolist() == [1, 2]
    assert "tags (list<" in warnings.text
    assert "left out: n1" in warnings.text


def test_the_type_of_an_extra_is_that_of_all_its_rows(folder: Path) -> None:
    size = 300_000
    lines = "".join(f"{i},1,2,3,4,5,{i}\n" for i in range(size))
    found = read(folder, f"{HEAD}{lines}{size},1,2,3,4,5,none\n")
    assert found["score"].dtype == object
    assert found["score"][[0, -1]].tolist() == ["0", "none"]
    assert (found["__id"] == np.arange(size + 1)).all()


@pytest.mark.parametrize("kind", ["csv", "parquet", "feather"])
def test_batches_are_of_one_size_and_kind(kind: str, tmp_path: Path) -> None:
    size = 2 * ROWS + 5
    numbers = np.arange(size)
    table = pa.table(dict.fromkeys(NAMES, numbers))
    path = tmp_path / "large"
    if kind == "csv":
        pa.csv.write_csv(table, path)
    elif kind == "parquet":
        pa.parquet.write_table(table, path)
    else:
        pa.feather.write_feather(table, str(path), chunksize=size)
    told: list[float] = []
    sizes = []
    for columns in batches(TableSource("synapse", str(path)), Files(), told.append):
        sizes.append(len(columns["x"]))
        assert (columns["x"] == columns["__id"].astype(np.int64)).all()
    assert sum(sizes) == size
    assert max(sizes) < 2 * ROWS
    assert len(sizes) < 4
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) > 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"PAR1 and no more", "cannot be read"),
        (b"ARROW1 and no more", "cannot be read"),
        (b"\xff\xff\xff\xff and no more", "cannot be read"),
        (write_parquet(pa.table({"pre": range(999)}))[:-9], "cannot be read"),
        (gzip.compress(b"id,pre,post,z,y,x\n" * 9, mtime=0)[:-9], "cannot be read"),
        (b"\x1f\x8b and no more", "cannot be read"),
        (b"pre,post,pre,z,y,x\n", "columns of the same name: pre"),
        (b"id,pre,post,z,y,x,t\n1,2,3,4,5,6,\xff\n", "cannot be read: .*UTF8"),
    ],
)
def test_what_is_no_table_is_told(folder: Path, content: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        read(folder, content)
    assert str(folder / "table") in str(caught.value)


def test_real_synapses(data: Path) -> None:
    folder = data / "microns_synapses" / "data"
    path = folder / "soma_subgraph_synapses_spines_v185.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1961
    expected = {
        "__id": [int(row["id"]) for row in rows],
        "n1": [int(row["pre_root_id"]) for row in rows],
        "n2": [int(row["post_root_id"]) for row in rows],
        **{axis: [int(row[f"ctr_pos_{axis}_vx"]) for row in rows] for axis in "zyx"},
    }
    source = TableSource("synapse", str(path))
    voxels = concatenated("synapse", batches(source, Files()))
    assert {name: voxels[name].tolist() for name in expected} == expected
    assert voxels["cleft_vx"].tolist() == [int(row["cleft_vx"]) for row in rows]
    columns = {axis: f"ctr_pt_{axis}_nm" for axis in "zyx"}
    source = TableSource("synapse", str(path), columns, voxel_size=(40, 4, 4))
    again = concatenated("synapse", batches(source, Files()))
    assert {name: again[name].tolist() for name in expected} == expected


def test_real_somata(data: Path) -> None:
    path = data / "microns_synapses" / "data" / "soma_valence_v185.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    found = concatenated("neuron", batches(TableSource("neuron", str(path)), Files()))
    assert found["neuron"].tolist() == [int(row["pt_root_id"]) for row in rows]
    places = zip(*(found[axis].tolist() for axis in "xyz"), strict=True)
    assert [list(place) for place in places] == [
        [int(number) for number in row["pt_position"].strip("[]").split()] for row in rows
    ]
    assert found["cell_type"].tolist() == [row["cell_type"] for row in rows]
