"""``/openapi.json`` describes the server, as Schemathesis checks with requests."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.config.config import Config
from bfly.protocols.api import METHODS
from bfly.queries.annotation_actions import ANNOTATION_ACTIONS
from bfly.queries.edit_actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page

BIG = 2**64 - 1

LEFT_OUT = (
    # A box is all of its parameters or none, and some facts need an id, which OpenAPI cannot say;
    # and what is allowed can still be too large.
    "positive_data_acceptance",
    # Parameters that are not known are taken no notice of.
    "negative_data_rejection",
    # A channel that cannot be read is 503 and documented; 500 is not, and so is found.
    "not_a_server_error",
)


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, process: Callable[..., Any]
) -> Iterator[httpx.Client]:
    """Serve channels of both kinds, one broken, and neurons with the ids that are tried first.

    The labels of ``bodies`` are ids that are tried first too, for edits.
    """
    folder = tmp_path_factory.mktemp("openapi")
    random = np.random.default_rng(0)
    volumes = {
        "em": random.integers(0, 255, (20, 90, 100), np.uint8),
        "seg": random.integers(BIG - 9, BIG, (20, 90, 100), np.uint64),
        "bodies": np.arange(1, 101, dtype="u4").repeat(1800).reshape(20, 90, 100),
    }
    for name, volume in volumes.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["main"] = volume
    (folder / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    centre = {"z": [10, 11, 12], "y": [20, 40, 60], "x": [8, 16, 24]}
    synapses = {"neuron_1": [0, 9, BIG], "neuron_2": [9, 0, 0], "synapse_center": centre}
    (folder / "synapse-connections.json").write_text(json.dumps(synapses))
    somas = [{"neuron_id": number, "z": 1, "y": 50, "x": 90} for number in (0, 9, BIG)]
    (folder / "neuron-soma.json").write_text(json.dumps(somas))
    channels = [{"name": n, "path": str(folder / f"{n}.h5")} for n in (*volumes, "broken")]
    datasets = [{"name": "dat", "path": str(folder), "channels": channels}]
    tree = [{"name": "exp", "samples": [{"name": "sam", "datasets": datasets}]}]
    with process(
        Config.parse({"bfly": {"experiments": tree, "max-cutout-size": 1}}, "test.yaml")
    ) as client:
        yield client


def test_every_method_has_its_words(client: httpx.Client) -> None:
    found = client.get("/openapi.json")
    assert found.headers["content-type"] == "application/json"
    paths = found.json()["paths"]
    edits = "/api/edits/{experiment}/{sample}/{dataset}/{channel}"
    annotations = "/api/annotations/{experiment}/{sample}/{dataset}"
    assert set(paths) == {
        *(f"/api/{method}" for method in METHODS),
        *(f"{edits}/{action}" for action in ACTIONS),
        *(f"{annotations}/{action}" for action in ANNOTATION_ACTIONS),
    }
    words = {word["name"]: word for word in paths["/api/data"]["get"]["parameters"]}
    assert words["z"]["required"]
    assert words["resolution"]["schema"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 31,
        "default": 0,
    }
    assert words["view"]["schema"]["enum"] == ["grayscale", "colormap", "rgb"]
    names = found.json()["components"]["schemas"]
    assert names["channel"]["enum"] == ["bodies", "broken", "em", "seg"]
    assert client.get("/openapi.json/x").status_code == 404


def test_the_page_to_try_it_has_a_form_for_every_method(client: httpx.Client, tab: Page) -> None:
    answer = client.get("/try")
    assert "script-src" not in answer.headers["content-security-policy"]
    assert client.get("/try/x").status_code == 404
    tab.goto(f"{client.base_url}try")
    assert tab.locator("form").count() == len(METHODS) + len(ACTIONS) + len(ANNOTATION_ACTIONS)
    for method in METHODS:
        assert tab.locator(f'form[action="api/{method}"]').count() == 1
    both = {"edits": ACTIONS, "annotations": ANNOTATION_ACTIONS}
    for family, name, action in [(f, *each) for f, table in both.items() for each in table.items()]:
        address = f'[action="try/{family}/{name}"]'
        form = tab.locator(f'form{address}[method="{action.method.lower()}"]')
        assert form.count() == 1
        for word in action.words:
            assert form.locator(f"[name={word}]").count() == 1
    tab.locator("summary", has_text="A cutout of a channel").first.click()
    form = tab.locator('form[action="api/data"]')
    form.locator("[name=channel]").select_option("em")
    for name, value in {"x": 3, "y": 5, "z": 1, "width": 20, "height": 10}.items():
        form.locator(f"[name={name}]").fill(str(value))
    form.locator("[name=format]").select_option("png")
    with tab.expect_response("**/api/data?*") as asked:
        form.locator("button").click()
    assert asked.value.status == 200
    assert asked.value.headers["content-type"] == "image/png"


def test_a_form_edits_and_another_one_tells_what_was_done(client: httpx.Client, tab: Page) -> None:
    tab.goto(f"{client.base_url}try")
    tab.locator("summary", has_text="Join segments").click()
    form = tab.locator('form[action="try/edits/merge"]')
    form.locator("[name=channel]").select_option("bodies")
    form.locator("[name=ids]").fill("[98, 99]")
    form.locator("[name=user]").fill("Ada & Bo")
    with tab.expect_response("**/try/edits/merge") as asked:
        form.locator("button").click()
    assert asked.value.status == 200
    done = asked.value.json()
    assert (done["kind"], done["user"]) == ("merge", "Ada & Bo")
    tab.goto(f"{client.base_url}try")
    tab.locator("summary", has_text="Operations, the latest first").click()
    form = tab.locator('form[action="try/edits/log"]')
    form.locator("[name=channel]").select_option("bodies")
    form.locator("[name=by]").fill("Ada & Bo")
    with tab.expect_response("**/api/edits/exp/sam/dat/bodies/log?by=Ada+%26+Bo") as asked:
        form.locator("button").click()
    assert asked.value.json()["operations"] == [done]


def test_what_a_form_cannot_send_is_refused_in_words(client: httpx.Client) -> None:
    names = {"experiment": "exp", "sample": "sam", "dataset": "dat", "channel": "bodies"}
    for action, fields, status, words in (
        ("merge", {**names, "ids": "1, 2"}, 400, "ids is not JSON: 1, 2"),
        ("merge", {**names, "ids": "[1]"}, 400, "A merge takes two ids or points at least"),
        ("merge", {**names, "channel": "x", "ids": "[1, 2]"}, 404, "x"),
        ("merge", {"ids": "[1, 2]"}, 400, "The experiment is missing"),
        ("log", names, 405, "The method POST is not in"),
        ("join", names, 405, "The method POST is not in"),
    ):
        answer = client.post(f"/try/edits/{action}", data=fields)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert client.post("/try/edits/merge", content=b"\xff").status_code == 400
    assert client.get("/try/edits/merge").status_code == 405
    assert client.get("/try/edits/log", params={"sample": "sam"}).status_code == 400
    assert client.get("/try/edits/join").status_code == 404
    point = '[{"type": "point", "points": [[1, 2, 3]]}]'
    answer = client.post("/try/annotations/create", data={**names, "annotations": point})
    assert answer.status_code == 400  # it takes no channel
    del names["channel"]
    answer = client.post("/try/annotations/create", data={**names, "annotations": point})
    assert answer.json()["annotations"][0]["points"] == [[1, 2, 3]]
    answer = client.get("/try/annotations/list", params=names)
    assert answer.headers["location"] == "../../api/annotations/exp/sam/dat/list"


def test_schemathesis_finds_nothing_that_is_not_so(client: httpx.Client, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "schemathesis.cli"]
    settings = ["--phases", "coverage,fuzzing", "--max-examples", "5", "--seed", "1"]
    checks = ["--checks", "all", "--exclude-checks", ",".join(LEFT_OUT)]
    done = subprocess.run(
        [*program, "run", f"{client.base_url}openapi.json", *settings, *checks, "--no-color"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    for phase in ("Coverage", "Fuzzing"):
        assert f"✅ {phase}" in done.stdout, done.stdout[-5000:]
    actions = [*ACTIONS.values(), *ANNOTATION_ACTIONS.values()]
    reads = sum(action.method == "GET" for action in actions)
    assert f"Tested: {2 * (len(METHODS) + reads) + len(actions) - reads}" in done.stdout
    channel = "/api/edits/exp/sam/dat/bodies"
    assert client.get(f"{channel}/log").json()["last"] > 0
    cutout = "/api/data?experiment=exp&sample=sam&dataset=dat&channel=bodies&x=0&y=0&z=0"
    assert client.get(f"{cutout}&width=9&height=9").status_code == 200
