"""A replay of the clients of the first Butterfly: names, neurons, synapses and edits.

The first's own answers are those of its source. ``better`` says where ours differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.fixtures.first import EDITED, GROUPS, TOKEN, Cortex, Row
from tests.fixtures.first_fact_readers import (
    a_card,
    as_text,
    body,
    box,
    card,
    handled,
    ids,
    keypoint,
    listed,
    nda,
    parents,
    partners,
    script,
    sides,
    text,
    true_or_false,
    xyz,
)
from tests.fixtures.first_readers import as_it_is, raw

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

NEGATIVE = "the first counted negative ids from the end"
NO_TABLE = "the first answered 500 where a dataset has no tables"
TO_32 = "the first cut ids to 32 bits"

# fmt: off
ROWS = [
    # The page that lists all, from names to names
    Row("index page", "experiments", listed("experiments"), body, lambda d: ["R0"]),
    Row("index page", "samples", listed("samples", "R0"), body, lambda d: ["R0"]),
    Row("index page", "datasets", listed("datasets", "R0", "R0"),
        body, lambda d: ["25k", "bare", "apart"]),
    Row("index page", "channels", listed("channels", "R0", "R0", "25k"),
        lambda answer: body(answer)[:3], lambda d: ["em", "seg", "cells"]),
    Row("index page", "an image", listed("channel_metadata", "R0", "R0", "25k", "em"),
        card, lambda d: a_card(d, "em", "image")),
    Row("index page", "labels", listed("channel_metadata", "R0", "R0", "25k", "seg"),
        card, lambda d: a_card(d, "seg", "segmentation")),
    Row("index page", "labels of 64 bits", listed("channel_metadata", "R0", "R0", "25k", "cells"),
        card, lambda d: a_card(d, "cells", "segmentation")),

    # scripts/api_test/apiTest.py
    Row("apiTest", "all neurons", script("all_neurons"),
        ids, lambda d: set(d.neurons), TO_32),
    Row("apiTest", "synapses of a neuron", script("neuron_children", 13),
        ids, lambda d: set(d.children(13))),
    Row("apiTest", "synapses of its partner", script("neuron_children", 14),
        ids, lambda d: set(d.children(14))),
    Row("apiTest", "synapses of a soma alone", script("neuron_children", 99),
        ids, lambda d: set()),
    Row("apiTest", "neurons of a synapse", script("synapse_parent", 61),
        partners(61), lambda d: {19, 12}),
    Row("apiTest", "neurons of the last synapse", script("synapse_parent", 62),
        partners(62), lambda d: {18, d.big}, TO_32),
    Row("apiTest", "place of a synapse", script("synapse_keypoint", 5),
        body, lambda d: dict(zip("zyx", d.places[5], strict=True))),
    Row("apiTest", "by another channel", script("synapse_keypoint", 6, "seg"),
        body, lambda d: dict(zip("zyx", d.places[6], strict=True))),

    # ariadne-nda, whose answers NDA.py checks against the file
    Row("ariadne-nda", "is_synapse", nda("is_synapse", id=62), true_or_false, lambda d: True),
    Row("ariadne-nda", "is_synapse of no id", nda("is_synapse", id=63),
        true_or_false, lambda d: False),
    Row("ariadne-nda", "is_synapse below 0", nda("is_synapse", id=-1),
        true_or_false, lambda d: False, NEGATIVE),
    Row("ariadne-nda", "is_neuron", nda("is_neuron", id=99), true_or_false, lambda d: True),
    Row("ariadne-nda", "is_neuron of no id", nda("is_neuron", id=20),
        true_or_false, lambda d: False),
    Row("ariadne-nda", "synapse_parent", nda("synapse_parent", id=9),
        parents, lambda d: list(d.pairs[9])),
    Row("ariadne-nda", "synapse_parent of a loop", nda("synapse_parent", id=0),
        parents, lambda d: [15, 15]),
    Row("ariadne-nda", "synapse_parent of no id", nda("synapse_parent", id=4000),
        body, lambda d: {}),
    Row("ariadne-nda", "synapse_keypoint", nda("synapse_keypoint", id=20, resolution=0),
        keypoint, lambda d: xyz(d.places[20])),
    Row("ariadne-nda", "synapse_keypoint at 2", nda("synapse_keypoint", id=21, resolution=2),
        keypoint, lambda d: xyz(d.places[21], 4)),
    Row("ariadne-nda", "neuron_keypoint of a soma", nda("neuron_keypoint", id=13, resolution=1),
        keypoint, lambda d: xyz(d.neuron(13), 2)),
    Row("ariadne-nda", "neuron_keypoint as post", nda("neuron_keypoint", id=12, resolution=0),
        keypoint, lambda d: xyz(d.neuron(12))),
    Row("ariadne-nda", "neuron_keypoint as pre", nda("neuron_keypoint", id=19, resolution=0),
        keypoint, lambda d: xyz(d.places[61])),
    Row("ariadne-nda", "neuron_keypoint of no id", nda("neuron_keypoint", id=4, resolution=0),
        keypoint, lambda d: []),
    Row("ariadne-nda", "synapse_ids",
        nda("synapse_ids", **box(2, z=(3, 9), y=(0, 50), x=(9, 60))),
        as_text, lambda d: [str(i) for i in d.inside((3, 0, 36), (9, 200, 240))]),
    Row("ariadne-nda", "synapse_ids of no box",
        nda("synapse_ids", **box(0, z=(900, 901), y=(0, 1), x=(0, 1))),
        as_text, lambda d: []),
    Row("ariadne-nda", "neuron_children",
        nda("neuron_children", id=15, **box(1, z=(2, 10), y=(0, 120), x=(0, 130))),
        sides, lambda d: d.children(15, d.inside((2, 0, 0), (10, 240, 260)))),
    Row("ariadne-nda", "neuron_ids", nda("all_neurons", resolution=0),
        as_text, lambda d: [str(i) for i in d.neurons], TO_32),
    Row("ariadne-nda", "neuron_ids in a dataset without", nda("all_neurons", "bare"),
        as_text, lambda d: [], NO_TABLE),
    Row("ariadne-nda", "synapse_ids in a dataset without",
        nda("synapse_ids", "bare", **box(0, z=(0, 9), y=(0, 9), x=(0, 9))),
        as_text, lambda d: [], NO_TABLE),
    Row("ariadne-nda", "datasets, passed on", "/api/datasets?experiment=R0&sample=R0",
        as_it_is(body), lambda d: ["25k", "bare", "apart"]),

    # What people read when a request is wrong
    Row("documents", "a channel that is not", listed("channel_metadata", "R0", "R0", "bare", "foo"),
        text, lambda d: "The channel foo is not in ['em'].", "", 400),
    Row("documents", "a missing number", f"/api/data?{GROUPS}&channel=em&y=0&z=0&width=1&height=1",
        text, lambda d: "The x None is not an integer.", "", 400),
    Row("documents", "a wrong number",
        f"/api/data?{GROUPS}&channel=em&x=a&y=0&z=0&width=1&height=5",
        text, lambda d: "The x a is not an integer.", "", 400),
    Row("documents", "a method that is not", "/api/foo",
        lambda answer: text(answer)[:28], lambda d: "The method foo is not in ['e", "", 400),
]
# fmt: on


@dataclass(frozen=True)
class Talk:
    """What an editor in Neuroglancer sends over its websocket, and what is heard of it.

    Parameters
    ----------
    what : str
        What it wants.
    sends : tuple of dict
        Its messages.
    told : int
        How many of them change the state, so that other viewers of the channel are told.
    reads : callable
        Takes all that the editor heard, another viewer of the channel, and one of another channel.
    finds : object
        What it has to give.
    better : str
        How our answer differs from the first's; empty if it does not.
    """

    what: str
    sends: tuple[dict[str, Any], ...]
    told: int
    reads: Callable[[list[str], list[str], list[str]], Any]
    finds: object
    better: str = ""

    def __str__(self) -> str:
        return f"editor: {self.what}"


SPLIT = "3:1:0:3:0:3:0:1"
EMPTY = {"action": "restore", "merge": [], "split": [], "error": ""}


def save(*merge: list[str], split: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"action": "save", "merge": merge, "split": split}


# fmt: off
TALKS = [
    Talk("nothing was saved yet", (), 0,
         lambda one, two, other: handled(one[0]), ([], [])),
    Talk("a merge", (save(["3", "4"]),), 1,
         lambda one, two, other: handled(one[-1]), (["Successfully saved"], [(3, 4)])),
    Talk("all merges each time", (save(["3", "4"]), save(["3", "4"], ["6", "7"])), 2,
         lambda one, two, other: handled(one[-1])[1], [(3, 4), (6, 7)]),
    Talk("merges that meet", (save(["3", "4"]), save(["5", "4"])), 2,
         lambda one, two, other: handled(one[-1])[1], [(5, 3), (3, 4)],
         "the first took 4 away from 3, and left 3 alone"),
    Talk("a region of a split", (save(["3:1", "4"]),), 1,
         lambda one, two, other: handled(one[-1])[1], [(3, 4)]),
    Talk("a split", (save(split=(SPLIT,)),), 1,
         lambda one, two, other: json.loads(one[-1])["split"], [SPLIT]),
    Talk("another viewer", (save(["1", "2"]),), 1,
         lambda one, two, other: handled(two[-1]), ([], [(1, 2)]),
         "the first told every viewer that it had saved"),
    Talk("a viewer of another channel", (save(["1", "2"]),), 1,
         lambda one, two, other: [json.loads(text) for text in other], [EMPTY, EMPTY],
         "the first told the viewers of all channels"),
    Talk("an action that is not", ({"action": "drop"},), 0,
         lambda one, two, other: json.loads(one[-1])["error"],
         "The action drop is not in ['restore', 'save'].",
         "the first sent the unknown action to every viewer, without an error"),
]
# fmt: on
assert len(TALKS) == EDITED


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_client_of_the_first(row: Row, replayed: httpx.Client, cortex: Cortex) -> None:
    row.replay(replayed, cortex)


def viewer(replayed: httpx.Client, channel: str) -> ClientConnection:
    return connect(f"ws://{replayed.base_url.netloc.decode()}/ws/{TOKEN}/{channel}")


def hear(socket: ClientConnection) -> str:
    return str(socket.recv(timeout=20))


@pytest.mark.parametrize("number", range(EDITED), ids=lambda number: str(TALKS[number]))
def test_an_editor_of_the_first(number: int, replayed: httpx.Client, cortex: Cortex) -> None:
    """Hear what it should; the voxels follow, which the first left as they were."""
    talk, channel = TALKS[number], f"edit{number}"
    with (
        viewer(replayed, channel) as one,
        viewer(replayed, channel) as two,
        viewer(replayed, "cells") as three,
    ):
        heard, seen, other = [hear(one)], [hear(two)], [hear(three)]
        for message in talk.sends:
            one.send(json.dumps(message))
            heard.append(hear(one))
        seen += [hear(two) for _ in range(talk.told)]
        three.send(json.dumps({"action": "restore"}))
        other.append(hear(three))
    assert talk.reads(heard, seen, other) == talk.finds
    merged = cortex.small.copy()
    for name, *others in json.loads(heard[-1])["merge"]:
        merged[np.isin(merged, list(map(int, others)))] = int(name)
    at = f"/pre/{TOKEN}/{channel}/0/0-8_0-6_0-2"
    assert np.array_equal(raw("u4", 2, 6, 8)(replayed.get(at)), merged)
    if talk.better:
        print(f"{talk}: {talk.better}")
