"""Opening the file of a table: allowed, existing, unchanged, and its library installed."""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bfly.errors import ConfigError, MissingLibrary, NotAllowed, SourceChanged, SourceError
from bfly.storage.files import Files
from bfly.tables import TableSource, batches

if TYPE_CHECKING:
    from pathlib import Path

NEURONS = [{"neuron_id": 1, "z": 2, "y": 3, "x": 4}]


def source(path: Path) -> TableSource:
    return TableSource("neuron", str(path))


def test_formats_are_told_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f" \n{json.dumps(NEURONS)}")
    (tmp_path / "b.json").write_bytes(gzip.compress(json.dumps(NEURONS).encode()))
    (tmp_path / "c.json").write_bytes("\ufeffid,z,y,x\r\n1,2,3,4\r\n".encode())
    for name in ("a.csv", "b.json", "c.json"):
        (columns,) = batches(source(tmp_path / name), Files())
        assert {key: c.tolist() for key, c in columns.items()} == {
            "neuron": [1],
            "z": [2],
            "y": [3],
            "x": [4],
        }


@pytest.mark.parametrize(
    "said", [{"columns": {"z": "y"}}, {"units": "nm"}, {"skip_bad_rows": True}]
)
def test_nothing_but_the_path_can_be_said_of_json(said: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text(json.dumps(NEURONS))
    with pytest.raises(ConfigError, match="allowed in neurons is only its path"):
        list(batches(replace(source(tmp_path / "n.json"), **said), Files()))


def test_a_file_without_rows_gives_none(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("id,z,y,x\n")
    (tmp_path / "n.json").write_text("[]")
    for name in ("n.csv", "n.json"):
        told: list[float] = []
        assert list(batches(source(tmp_path / name), Files(), told.append)) == []
        assert told[-1] == 1


def test_files_outside_the_allowed_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text("[]")
    with pytest.raises(NotAllowed):
        list(batches(source(tmp_path / "n.json"), Files([str(tmp_path / "inside")])))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"n\.json cannot be read: No such file"):
        list(batches(source(tmp_path / "n.json"), Files()))


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot be read: .*[Dd]irectory"):
        list(batches(source(tmp_path), Files()))


def test_a_file_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    path.write_text(json.dumps(NEURONS))
    reading = batches(source(path), Files())
    next(reading)
    path.write_text(json.dumps(NEURONS * 2))
    with pytest.raises(SourceChanged):
        next(reading)


def test_pyarrow_is_asked_for_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "n.json").write_text(json.dumps(NEURONS))
    (tmp_path / "n.csv").write_text("id,z,y,x\n")
    for name in [name for name in sys.modules if name.startswith("bfly.tables.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert len(list(batches(source(tmp_path / "n.json"), Files()))) == 1
    with pytest.raises(MissingLibrary, match=r"pip install 'bfly\[tables\]'"):
        list(batches(source(tmp_path / "n.csv"), Files()))
