"""Files of neurons and synapses are read for a bounded time, whatever their format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bfly.doctor.tables import examine_tables
from bfly.storage.files import Files

if TYPE_CHECKING:
    from pathlib import Path

LATE_ERROR = {
    "synapses.csv": "id,pre,post,z,y,x\n" + "1,1,1,1,1,1\n" * 200_000 + "1,one,1,1,1,1\n",
    "synapses.json": json.dumps(
        {
            "neuron_1": [1] * 200_000,
            "neuron_2": [1] * 200_000,
            "synapse_center": {axis: [1] * 200_000 for axis in "zyx"},
        }
    )[:-1],
}


@pytest.mark.parametrize("name", LATE_ERROR)
def test_reading_ends_in_time(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_text(LATE_ERROR[name])
    dataset = {"path": str(tmp_path), "synapses": {"path": str(tmp_path / name)}}
    (examined,) = examine_tables("d", dataset, Files())
    assert (examined.name, examined.path) == ("d", str(tmp_path / name))
    assert examined.has_errors
    monkeypatch.setattr("bfly.doctor.tables.PATIENCE", -1.0)
    assert list(examine_tables("d", dataset, Files())) == []


def test_files_outside_the_allowed_folders(tmp_path: Path) -> None:
    (tmp_path / "neuron-soma.json").write_text("[]")
    (tmp_path / "other").mkdir()
    files = Files([str(tmp_path / "other")])
    (examined,) = examine_tables("d", {"path": str(tmp_path)}, files)
    (finding,) = examined.findings
    assert "is not in allowed-paths" in finding.message
    assert finding.remedy == ""
