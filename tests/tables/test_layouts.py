"""Exports are recognised by their columns; columns named in the configuration have precedence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bfly.errors import ConfigError
from bfly.storage.files import Files
from bfly.tables import TableSource, batches
from bfly.tables.columns import concatenated
from bfly.tables.layouts import LAYOUTS, layout_of

if TYPE_CHECKING:
    from bfly.tables.columns import Columns

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def source(table: Any = "synapse", **said: Any) -> TableSource:
    return TableSource(table, "/table.csv", **said)


def read(folder: Path, text: str, table: Any = "synapse", **said: Any) -> Columns:
    path = folder / "table.csv"
    path.write_text(text)
    said = {"voxel_size": (40, 4, 4), **said}
    return concatenated(table, batches(TableSource(table, str(path), **said), Files()))


SYNAPSES = {
    "id,pre_pt_root_id,post_pt_root_id,size,ctr_pt_position": "7,1,2,9,[12 8 3]",
    "id,pre_pt_root_id,post_pt_root_id,ctr_pt_position_x,ctr_pt_position_y,ctr_pt_position_z": (
        "7,1,2,12,8,3"
    ),
    "id,pre_root_id,post_root_id,ctr_pos_x_vx,ctr_pos_y_vx,ctr_pos_z_vx": "7,1,2,12,8,3",
    "id,pre_root_id,post_root_id,ctr_pt_x_nm,ctr_pt_y_nm,ctr_pt_z_nm": "7,1,2,48,32,120",
    "id,pre_pt_root_id,post_pt_root_id,pre_pt_position_x,pre_pt_position_y,pre_pt_position_z,"
    "post_pt_position_x,post_pt_position_y,post_pt_position_z": "7,1,2,0,0,0,48,32,120",
    "pre_root_id,post_root_id,x,y,z": "1,2,48,32,120",
    "bodyId_pre,bodyId_post,x_pre,y_pre,z_pre,x_post,y_post,z_post": "1,2,0,0,0,12,8,3",
    "bodyId_pre,bodyId_post,x,y,z": "1,2,12,8,3",
    "id,pre,post,z,y,x": "7,1,2,3,8,12",
}
NEURONS = {
    "id,pt_root_id,pt_position,cell_type": "5,1,[12 8 3],e",
    "id,pt_root_id,pt_position_x,pt_position_y,pt_position_z": "5,1,12,8,3",
    "pt_root_id,soma_x_nm,soma_y_nm,soma_z_nm": "1,48,32,120",
    "root_id,position,supervoxel_id": "1,[48 32 120],77",
    "bodyId,somaLocation,type": '1,"[12, 8, 3]",a',
    "id,z,y,x": "1,3,8,12",
}


@pytest.mark.parametrize("head", SYNAPSES)
def test_synapses_of_exports(head: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"{head}\n{SYNAPSES[head]}\n")
    row = {name: found[name].tolist() for name in ("n1", "n2", "z", "y", "x")}
    assert row == {"n1": [1], "n2": [2], "z": [3], "y": [8], "x": [12]}
    assert found["__id"].tolist() == [7 if head.startswith("id") else 0]


@pytest.mark.parametrize("head", NEURONS)
def test_neurons_of_exports(head: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"{head}\n{NEURONS[head]}\n", "neuron")
    row = {name: found[name].tolist() for name in ("neuron", "z", "y", "x")}
    assert row == {"neuron": [1], "z": [3], "y": [8], "x": [12]}


def test_ids_that_their_column_name_begins(tmp_path: Path) -> None:
    head = "ctr_x,ctr_y,ctr_z,pre_root_id_720575940,post_root_id_720575940,neuropil"
    found = read(tmp_path, f"{head}\n48,32,120,618780781,5,LO\n48,32,120,0,,\n")
    assert found["n1"].tolist() == [720575940618780781, 0]
    assert found["n2"].tolist() == [720575940000000005, 0]
    assert found["neuropil"].tolist() == ["LO", ""]


def test_codex_says_a_neuron_once_for_many_rows(tmp_path: Path) -> None:
    head = "pre_root_id,post_root_id,x,y,z"
    text = f"{head}\n1,2,0,0,0\n,,4,0,0\n,3,8,0,0\n4,,12,0,0\n"
    found = read(tmp_path, text)
    assert found["n1"].tolist() == [1, 1, 1, 4]
    assert found["n2"].tolist() == [2, 2, 3, 3]
    named = read(tmp_path, text, columns={"pre": "pre_root_id", "post": "post_root_id"})
    assert named["n1"].tolist() == [1, 0, 0, 4]


def test_neurons_are_filled_down_from_batch_to_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.tables.arrow_files.ROWS", 2)
    text = "pre_root_id,post_root_id,x,y,z\n1,2,0,0,0\n,,0,0,0\n,,0,0,0\n,5,0,0,0\n,,0,0,0\n"
    found = read(tmp_path, text)
    assert found["n1"].tolist() == [1] * 5
    assert found["n2"].tolist() == [2, 2, 2, 5, 5]
    assert found["__id"].tolist() == [0, 1, 2, 3, 4]


def test_named_columns_go_first() -> None:
    names = ["id", "pre", "post", "z", "y", "x", "a", "b", "xyz"]
    found = layout_of(source(columns={"pre": "a", "id": "b"}, units="nm"), names)
    assert found.columns == {"id": "b", "pre": "a", "post": "post", "z": "z", "y": "y", "x": "x"}
    assert found.units == "nm"
    found = layout_of(source(columns={"position": "xyz"}), names)
    assert found.columns == {"id": "id", "pre": "pre", "post": "post", "position": "xyz"}
    assert found.units == "voxel"
    with pytest.raises(ConfigError, match="no export that is recognised"):
        layout_of(source(columns={"z": "z"}), ["pre_pt_root_id", "post_pt_root_id", "z", "x"])


def test_units_can_be_said_against_those_of_the_export() -> None:
    names = ["pre_root_id", "post_root_id", "x", "y", "z"]
    assert layout_of(source(), names).units == "nm"
    assert layout_of(source(units="voxel"), names).units == "voxel"


def test_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        layout_of(source(columns={"pre": "before"}), ["id", "pre", "post"])
    assert str(caught.value) == (
        "/table.csv has no column before, as synapses.pre says; there are id, pre, post."
    )


@pytest.mark.parametrize(
    ("table", "needed"), [("synapse", "pre, post and z, y, x or"), ("neuron", "id and z, y, x or")]
)
def test_missing_columns_are_told(table: Any, needed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        layout_of(source(table), ["weight", "roi"])
    message = str(caught.value)
    assert "there are weight, roi. " in message
    assert f"Name the columns in {table}s: {needed} position." in message


@pytest.mark.parametrize("table", LAYOUTS)
def test_every_export_is_documented(table: str) -> None:
    section = PAGE.read_text().split(f"### Of {table}s\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ") and "`" in line]
    documented = [
        (name.strip(), set(re.findall(r"`([^`]*)`", columns)), units.strip())
        for _, name, columns, units, _ in (line.split("|") for line in lines)
    ]
    stated = [(la.name, set(la.columns.values()), la.units) for la in LAYOUTS[table]]
    assert documented == stated
