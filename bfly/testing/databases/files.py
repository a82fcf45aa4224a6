"""Tests of loading the files that a configuration names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bfly.keywords import RUNTIME
from bfly.testing.databases.base import BIG, NEURON, SYNAPSE, DatabaseTests

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileTests"]


class FileTests(DatabaseTests):
    """Files are loaded when they are new or changed."""

    def test_files_of_a_configuration(self, place: str, tmp_path: Path) -> None:
        """Files of the documented names are loaded, each channel's from its folder."""
        folder, other = tmp_path / "set", tmp_path / "other"
        synapses = [[7, BIG, 1, 2, 3], [2**63, 7, 4, 5, 6]]
        _write(folder, synapses, [{"neuron_id": 7, "z": 9, "y": 8, "x": 7}])
        _write(other, [[1, 1, 1, 1, 1]], [])
        config = _configuration(folder)
        config["bfly"]["experiments"][0]["samples"][0]["datasets"][0]["channels"] = [
            {"name": "em", "path": "/em.h5"},
            {"name": "seg", "path": "/seg.h5", "dpath": str(other)},
        ]
        database = self.open(place, RUNTIME())
        assert database.load_config(config) is database
        assert database.load_synapses(str(folder)).tolist() == synapses
        assert database.load_neurons(str(folder), synapses).tolist() == [
            [7, 9, 8, 7],
            [BIG, 1, 2, 3],
            [2**63, 4, 5, 6],
        ]
        for opened in (database, *self.reopened(place)):
            assert opened.all_neurons(NEURON, "/em.h5") == [7, 2**63, BIG]
            assert opened.synapse_parent(SYNAPSE, "/em.h5", 0)["synapse_parent_post"] == BIG
            assert opened.neuron_keypoint(NEURON, "/em.h5", BIG, 1) == {"z": 1, "y": 2, "x": 3}
            assert opened.get_path("/seg.h5") == str(other)
            assert opened.all_neurons(NEURON, "/seg.h5") == [1]

    def test_files_are_loaded_again_once_they_changed(self, place: str, tmp_path: Path) -> None:
        """Unchanged files are not loaded again, which keeps later entries, unless forced."""
        _write(tmp_path, [[1, 2, 3, 4, 5]], [])
        path, config, runtime = str(tmp_path), _configuration(tmp_path), RUNTIME()
        database = self.open(place, runtime).load_config(config)
        database.add_synapses(path, [[6, 7, 8, 9, 10]])
        for opened in (database, *self.reopened(place)):
            assert opened.load_config(config).ids(SYNAPSE, path).tolist() == [0, 1]
        runtime.DB.UPDATE.VALUE = True
        assert database.load_config(config).ids(SYNAPSE, path).tolist() == [0]
        runtime.DB.UPDATE.VALUE = False
        _write(tmp_path, [[1, 2, 3, 4, 5]] * 3, [])
        assert database.load_config(config).ids(SYNAPSE, path).tolist() == [0, 1, 2]


def _write(folder: Path, synapses: list[list[int]], somas: list[dict[str, int]]) -> None:
    pre, post, *centre = map(list, zip(*synapses, strict=True))
    folder.mkdir(exist_ok=True)
    connections = {
        "neuron_1": pre,
        "neuron_2": post,
        "synapse_center": dict(zip("zyx", centre, strict=True)),
    }
    (folder / "synapse-connections.json").write_text(json.dumps(connections))
    (folder / "neuron-soma.json").write_text(json.dumps(somas))


def _configuration(folder: Path) -> dict[str, Any]:
    sample = {"name": "s", "datasets": [{"name": "d", "path": str(folder)}]}
    return {"bfly": {"experiments": [{"name": "e", "samples": [sample]}]}}
