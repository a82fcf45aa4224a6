"""What the tests of the first Butterfly promised, of the documented names."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

import bfly

if TYPE_CHECKING:
    from pathlib import Path

NEURONS, SYNAPSES, SHAPE = 100, 1000, (250, 2500, 2500)
SYNAPSE, NEURON = "synapse", "neuron"
AXES = ["z", "y", "x"]


@pytest.mark.parametrize(
    ("arguments", "flags", "argv"),
    [
        ([], {}, ["main"]),
        ([1337], {"exp": "~/data"}, ["main", "1337", "--exp", "~/data"]),
        ([1, "3"], {"a": "123", "abc": 123}, ["main", "1", "3", "-a", "123", "--abc", "123"]),
    ],
)
def test_arguments_become_a_command_line(
    arguments: list[Any], flags: dict[str, Any], argv: list[str]
) -> None:
    assert bfly.UtilityLayer.to_argv(*arguments, **flags) == argv


class Brain:
    """A thousand synapses of a hundred neurons in random places, as files and as arrays.

    Parameters
    ----------
    folder : Path
        Where the two documented files are written.
    """

    def __init__(self, folder: Path) -> None:
        random = np.random.default_rng(1970)
        ids = random.choice(2**32 - 1, 2 * NEURONS, replace=False) + 1
        self.neurons, self.others = np.split(ids.astype(np.uint32), 2)
        self.somata = random.integers(0, SHAPE, (NEURONS, 3))
        self.pairs = random.choice(self.neurons, (SYNAPSES, 2))
        self.centers = random.integers(0, SHAPE, (SYNAPSES, 3))
        self.boxes = np.sort(random.integers(0, SHAPE, (NEURONS, 2, 3)), axis=1)
        pre, post = self.pairs.T.tolist()
        center = dict(zip(AXES, self.centers.T.tolist(), strict=True))
        links = {"neuron_1": pre, "neuron_2": post, "synapse_center": center}
        (folder / "synapse-connections.json").write_text(json.dumps(links))
        somata = [
            {"neuron_id": neuron, **dict(zip(AXES, place, strict=True))}
            for neuron, place in zip(self.neurons.tolist(), self.somata.tolist(), strict=True)
        ]
        (folder / "neuron-soma.json").write_text(json.dumps(somata))

    def children(self, neuron: np.uint32, box: np.ndarray[Any, Any]) -> dict[int, int]:
        """Return the synapses of a neuron in a box, each with 1 for pre, 2 for post, 3 for both."""
        sides = (self.pairs == neuron) @ [1, 2]
        inside = ((self.centers >= box[0]) & (self.centers < box[1])).all(axis=1)
        return {int(i): int(sides[i]) for i in np.flatnonzero(inside & (sides > 0))}


@pytest.mark.parametrize("engine", ["Nodb", "Sqlite"])
def test_a_database_answers_every_feature(engine: str, tmp_path: Path) -> None:
    brain, channel = Brain(tmp_path), str(tmp_path / "channel.h5")
    dataset = {
        "name": "c",
        "path": str(tmp_path),
        "channels": [{"name": "d", "path": channel}],
    }
    config = {"experiments": [{"name": "a", "samples": [{"name": "b", "datasets": [dataset]}]}]}
    kind = getattr(bfly.DatabaseLayer, engine)
    db = kind(str(tmp_path / "bfly.db"), bfly.UtilityLayer.RUNTIME()).load_config(config)

    assert all(db.is_synapse(SYNAPSE, channel, i) for i in range(SYNAPSES))
    assert not any(db.is_synapse(SYNAPSE, channel, i) for i in range(SYNAPSES, 2 * SYNAPSES))
    assert all(db.is_neuron(NEURON, channel, i) for i in brain.neurons)
    assert not any(db.is_neuron(NEURON, channel, i) for i in brain.others)
    # The first's own callers pass ids of numpy.
    synapses = np.arange(SYNAPSES, dtype=np.uint32)
    for i, pair, center in zip(synapses, brain.pairs, brain.centers, strict=True):
        scale = 2 ** (int(i) % 10)
        place = db.synapse_keypoint(SYNAPSE, channel, i, scale)
        assert [place[axis] for axis in AXES] == (center // [1, scale, scale]).tolist()
        links = db.RUNTIME.FEATURES.LINKS
        parents = db.synapse_parent(SYNAPSE, channel, i)
        assert [parents[links.PRE.NAME], parents[links.POST.NAME]] == pair.tolist()
    for i, (neuron, soma) in enumerate(zip(brain.neurons, brain.somata, strict=True)):
        scale = 2 ** (i % 10)
        place = db.neuron_keypoint(NEURON, channel, neuron, scale)
        assert [place[axis] for axis in AXES] == (soma // [1, scale, scale]).tolist()
        for box in (np.array([[0, 0, 0], SHAPE]), brain.boxes[i]):
            assert db.neuron_children(SYNAPSE, channel, neuron, *box) == brain.children(neuron, box)


def test_a_web_server_starts_answers_and_stops() -> None:
    db = bfly.DatabaseLayer.Nodb(None, bfly.UtilityLayer.RUNTIME())
    web = bfly.Webserver(db, bfly.UtilityLayer.rh_config.config)
    serving = threading.Thread(target=web.start, args=(0,))
    serving.start()
    assert web.wait()
    answer = httpx.get(f"http://127.0.0.1:{web.port}/api/experiments")
    web.stop()
    serving.join(20)
    assert not serving.is_alive()
    assert (answer.status_code, answer.json()) == (200, [])
