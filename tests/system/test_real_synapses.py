"""The synapses of MICrONS, from their CSV by configuration alone, over HTTP and in a browser."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bfly.config.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

AT = {"experiment": "e", "sample": "s", "dataset": "d"}
ADDRESS = "/api/{}?experiment=e&sample=s&dataset=d&ids=string"
VOXEL_SIZE = [40, 4, 4]
NM = {axis: f"ctr_pt_{axis}_nm" for axis in "zyx"}
CONFIGURED = {
    "recognised": {},
    "voxel": {"pre": "pre_root_id", **{axis: f"ctr_pos_{axis}_vx" for axis in "zyx"}},
    "nm": {**NM, "units": "nm", "voxel_size": VOXEL_SIZE},
}

Rows = list[dict[str, str]]


def rows_of(path: Path) -> Rows:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(data: Path) -> Path:
    return data / "microns_synapses" / "data"


@pytest.fixture(scope="module")
def synapses(folder: Path) -> Rows:
    return rows_of(folder / "soma_subgraph_synapses_spines_v185.csv")


@pytest.fixture(scope="module", params=CONFIGURED)
def client(folder: Path, serve, request) -> Iterator[httpx.Client]:
    columns = CONFIGURED[request.param]
    dataset = {
        "name": "d",
        "path": str(folder),
        "synapses": {"path": str(folder / "soma_subgraph_synapses_spines_v185.csv"), **columns},
        "neurons": {"path": str(folder / "soma_valence_v185.csv")},
    }
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    with serve(Config.parse({"bfly": {"experiments": tree}}, "t.yaml")) as client:
        yield client


def lines(client: httpx.Client, address: str) -> dict[str, dict[str, object]]:
    found = [json.loads(line) for line in client.get(address).text.splitlines()]
    return {str(next(iter(row.values()))): row for row in found}


def place(row: dict[str, str]) -> list[int]:
    return [int(row[f"ctr_pos_{axis}_vx"]) for axis in "zyx"]


def test_every_synapse(client: httpx.Client, synapses: Rows) -> None:
    found = lines(client, ADDRESS.format("synapses"))
    assert len(found) == len(synapses) == 1961
    for row in synapses:
        mine = found[row["id"]]
        assert (mine["n1"], mine["n2"]) == (row["pre_root_id"], row["post_root_id"])
        assert [mine[axis] for axis in "zyx"] == place(row)
        assert mine["cleft_vx"] == int(row["cleft_vx"])


def test_every_soma(client: httpx.Client, folder: Path, synapses: Rows) -> None:
    found = lines(client, ADDRESS.format("neurons"))
    somas = rows_of(folder / "soma_valence_v185.csv")
    # Three segments have two nuclei: the last row of each counts.
    for row in {row["pt_root_id"]: row for row in somas}.values():
        x, y, z = map(int, re.findall(r"\d+", row["pt_position"]))
        mine = found[row["pt_root_id"]]
        assert [mine[axis] for axis in "zyx"] == [z, y, x]
        assert mine["cell_type"] == row["cell_type"]
    named = {row[key] for row in synapses for key in ("pre_root_id", "post_root_id")}
    assert set(found) == named | {row["pt_root_id"] for row in somas}


def test_features(client: httpx.Client, synapses: Rows) -> None:
    def feature(name: str, **words: object) -> str:
        got = client.get("/api/entity_feature", params={**AT, "feature": name, **words})
        assert got.status_code == 200, got.text
        return got.text

    for row in synapses[::100]:
        number, pre, post = (int(row[key]) for key in ("id", "pre_root_id", "post_root_id"))
        assert json.loads(feature("synapse_parent", id=number)) == {
            "synapse_id": number,
            "synapse_parent_pre": pre,
            "synapse_parent_post": post,
        }
        z, y, x = place(row)
        box = {"z": z - 50, "y": y - 500, "x": x - 500, "depth": 100, "height": 1000, "width": 1000}
        start, stop = np.array([z - 50, y - 500, x - 500]), np.array([z + 50, y + 500, x + 500])
        near = [r for r in synapses if (start <= place(r)).all() and (place(r) < stop).all()]
        assert set(json.loads(feature("synapse_ids", **box))) == {int(r["id"]) for r in near}
        children = json.loads(feature("neuron_children", id=pre, **box))
        assert children == {
            r["id"]: (r["pre_root_id"] == str(pre)) + 2 * (r["post_root_id"] == str(pre))
            for r in near
            if str(pre) in (r["pre_root_id"], r["post_root_id"])
        }


# In a browser, where numbers have 53 bits

SCRIPT = """
const rows = text.trim().split("\\n").map(line => JSON.parse(line))
const said = JSON.stringify(rows.map(row => [row.__id, row.n1, row.n2].map(String)))
"""
PAGE = """<script>
const request = new XMLHttpRequest()
request.open("GET", "{address}", false)
request.send()
const text = request.responseText
{script}
document.write("<pre>" + said + "</pre>")
</script>"""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


def in_chromium(client: httpx.Client, path: str, folder: Path) -> list[list[str]]:
    page = folder / "page.html"
    page.write_text(PAGE.format(address=f"{client.base_url}{path}", script=SCRIPT))
    command = ["chromium", *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    # A page of a file may not read (its origin is null), one that this machine serves may.
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{page.name}"
        done = subprocess.run(
            [*command, url], capture_output=True, text=True, timeout=120, check=True
        )
        server.shutdown()
    found = re.search(r"<pre>(\[\[.*?\]\])</pre>", done.stdout)
    assert found, done.stdout[:1000]
    return json.loads(html.unescape(found[1]))


def in_node(client: httpx.Client, path: str, folder: Path) -> list[list[str]]:
    source = f"const text = await (await fetch('{client.base_url}{path}')).text()\n{SCRIPT}"
    command = ["node", "--input-type=module", "-e", f"{source}console.log(said)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("browser", [in_chromium, in_node], ids=["chromium", "node"])
def test_ids_in_a_browser(client: httpx.Client, synapses: Rows, browser, tmp_path: Path) -> None:
    program = browser.__name__.removeprefix("in_")
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    address = ADDRESS.format("synapses")
    truth = sorted([row["id"], row["pre_root_id"], row["post_root_id"]] for row in synapses)
    assert sorted(browser(client, address, tmp_path)) == truth
    # As numbers they lose their last digits there, so that the program really is one.
    rounded = sorted(browser(client, address.replace("&ids=string", ""), tmp_path))
    assert rounded != truth
