"""The documented metadata files: every number exact, every mistake with its place."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.errors import SourceError
from bfly.storage.files import Files
from bfly.tables import ROWS, TableSource, batches

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.tables.columns import Columns

IDS = st.integers(0, 2**64 - 1)
VOXELS = st.integers(-(2**53), 2**53)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json")


def read(folder: Path, table: Any, content: Any) -> list[Columns]:
    path = folder / "table.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return list(batches(TableSource(table, str(path)), Files()))


def connections(n1: Any, n2: Any, z: Any, y: Any, x: Any) -> dict[str, Any]:
    return {"neuron_1": n1, "neuron_2": n2, "synapse_center": {"z": z, "y": y, "x": x}}


@given(st.lists(st.tuples(IDS, IDS, VOXELS, VOXELS, VOXELS), max_size=20))
def test_synapses_come_back(folder: Path, rows: list[tuple[int, ...]]) -> None:
    lists = [list(column) for column in zip(*rows, strict=True)] or [[]] * 5
    found = read(folder, "synapse", connections(*lists))
    assert len(found) == bool(rows)
    for columns in found:
        assert columns["__id"].tolist() == list(range(len(rows)))
        assert [columns[name].tolist() for name in ("n1", "n2", "z", "y", "x")] == lists
        dtypes = [str(columns[name].dtype) for name in ("__id", "n1", "n2", "z", "y", "x")]
        assert dtypes == ["uint64"] * 3 + ["int64"] * 3


@given(st.lists(st.tuples(IDS, VOXELS, VOXELS, VOXELS), max_size=20))
def test_neurons_come_back(folder: Path, rows: list[tuple[int, ...]]) -> None:
    names = ("neuron_id", "z", "y", "x")
    found = read(folder, "neuron", [dict(zip(names, row, strict=True)) for row in rows])
    assert len(found) == bool(rows)
    for columns in found:
        assert list(columns) == ["neuron", "z", "y", "x"]
        assert list(zip(*(c.tolist() for c in columns.values()), strict=True)) == rows


def test_voxels_are_rounded_down_and_other_keys_passed_over(folder: Path) -> None:
    content = '{"made": {"by": [1]}, "neuron_1": [1.0], "neuron_2": [2e0], ' + (
        '"synapse_center": {"x": [-0.5], "t": [7], "z": [1.999], "y": [3]}}'
    )
    (columns,) = read(folder, "synapse", content)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "__id": [0],
        "n1": [1],
        "n2": [2],
        "z": [1],
        "y": [3],
        "x": [-1],
    }


WRONG = [
    (connections([1, -1], [1, 2], [0, 0], [0, 0], [0, 0]), "neuron_1[1] is -1; allowed is a whole"),
    (connections([1], [2**64], [0], [0], [0]), f"neuron_2[0] is {2**64}; allowed is a whole"),
    (connections([1], [1.5], [0], [0], [0]), "neuron_2[0] is Decimal('1.5')"),
    (connections([1], ["2"], [0], [0], [0]), "neuron_2[0] is '2'"),
    (connections([1], [True], [0], [0], [0]), "neuron_2[0] is True"),
    (connections([1], [None], [0], [0], [0]), "neuron_2[0] is null"),
    (connections([1], [{}], [0], [0], [0]), "neuron_2[0] is a mapping"),
    (connections([1], [1], [0], [0], [2**53 + 1]), "synapse_center.x[0] is 9007199254740993"),
    (connections([1], [1], [0], [[]], [0]), "synapse_center.y[0] is a list"),
    (connections([1], [1], [0], [0], [0, 1]), "different lengths: neuron_1 1, neuron_2 1, "),
    ({"neuron_1": [1], "neuron_2": 3}, "no lists neuron_2, synapse_center.z, synapse_center.y"),
    ({"neuron_1": {"item": 1}}, "no lists neuron_1, "),
    ([], "no lists neuron_1, neuron_2, "),
    ('{"neuron_1": [1, 2', "is not whole JSON"),
    ('{"neuron_1": [1,, 2]}', "is not whole JSON"),
    ('{"neuron_1": [1e999999999]}', "neuron_1[0] is Decimal('1E+999999999')"),
    ('{"neuron_1": [\xff]}', "is not whole JSON"),
]


@pytest.mark.parametrize(("content", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_synapses_are_told_by_their_place(folder: Path, content: Any, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(folder, "synapse", content)
    assert message in str(caught.value)
    assert "table.json" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"neuron_id": 1}, "needed is a list of {neuron_id, z, y, x}"),
        ([{"neuron_id": 1, "z": 0, "y": 0}], "[0] is {'neuron_id': 1, 'z': 0, 'y': 0}; needed"),
        ([7], "[0] is 7; needed is {neuron_id, z, y, x}"),
        ([{"neuron_id": "one", "z": 0, "y": 0, "x": 0}], "[0].neuron_id is 'one'"),
        ([{"neuron_id": "-1", "z": 0, "y": 0, "x": 0}], "[0].neuron_id is Decimal('-1')"),
        ([{"neuron_id": "1.5", "z": 0, "y": 0, "x": 0}], "[0].neuron_id is Decimal('1.5')"),
        ([{"neuron_id": 1, "z": "", "y": 0, "x": 0}], "[0].z is ''; allowed is a number"),
        ([{"neuron_id": 1, "z": None, "y": 0, "x": 0}], "[0].z is None; allowed is a number"),
        ('[{"neuron_id": 1', "is not whole JSON"),
    ],
)
def test_wrong_neurons_are_told_by_their_place(folder: Path, content: Any, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(folder, "neuron", content)
    assert message in str(caught.value)


def test_numbers_of_neurons_may_be_text(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    highest = 2**64 - 1
    rows = [
        {"neuron_id": 7, "z": 1, "y": 2, "x": 3},
        {"neuron_id": str(highest), "z": "-1.5", "y": "+2", "x": "3"},
    ]
    (columns,) = read(folder, "neuron", rows)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "neuron": [7, highest],
        "z": [1, -2],
        "y": [2, 2],
        "x": [3, 3],
    }
    (line,) = caplog.messages
    assert "numbers that are text, from [1].neuron_id on, are read as numbers" in line


LARGE = """
import resource, sys
import numpy
from bfly.storage.files import Files
from bfly.tables import TableSource, batches

def peak():
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "linux" else used // 1024

before = peak()
sizes = [len(batch["__id"]) for batch in batches(TableSource("synapse", sys.argv[1]), Files())]
print(peak() - before, *sizes)
"""


def test_memory_is_some_bytes_a_number(tmp_path: Path) -> None:
    size = ROWS + 200_000
    numbers = ",".join(map(str, range(648518346349000000, 648518346349000000 + size)))
    places = ",".join(map(str, range(size)))
    center = ",".join(f'"{axis}":[{places}]' for axis in "zyx")
    path = tmp_path / "synapse-connections.json"
    path.write_text(
        f'{{"neuron_1":[{numbers}],"neuron_2":[{numbers}],"synapse_center":{{{center}}}}}'
    )
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(path)], capture_output=True, text=True, check=True
    )
    kibibytes, *sizes = map(int, done.stdout.split())
    assert sizes == [ROWS, 200_000]
    # 8 bytes for each of 5 numbers and an id, what an array holds in reserve, and the readers.
    assert kibibytes * 1024 < 2 * 6 * 8 * size
