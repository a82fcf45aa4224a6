"""The examples of proofreading, run as the page shows them, with the answers that it shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from bfly.commands.edits import TAKES
from bfly.queries.edit_actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "proofreading.md"
ADDRESS = "http://localhost:2001"
SERVER = ".venv/bin/bfly cells.yaml\n"
CHANNEL = "root/cells/cells/labels.h5"


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block."""
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.M | re.S)


def sections() -> Iterator[tuple[str, str]]:
    """Yield the heading and the text of each example."""
    for part in PAGE.read_text().split("\n### ")[1:]:
        heading, _, text = part.partition("\n")
        yield heading, text.partition("\n## ")[0]


def test_every_action_has_a_section_with_an_example_and_its_answer() -> None:
    found = dict(sections())
    wanted = {f"{action.method} `{name}`" for name, action in ACTIONS.items()}
    commands = {f"`bfly edits {name}`" for name in TAKES}
    assert set(found) - {"Past states"} == wanted | commands
    for heading, text in found.items():
        languages = [language for language, _ in blocks(text)]
        assert languages[0] == "sh", heading
        assert languages[1] in ("json", "text"), heading
    for name, action in ACTIONS.items():
        code = "\n".join(code for _, code in blocks(found[f"{action.method} `{name}`"]))
        if action.method == "POST":
            posted = re.findall(rf"{CHANNEL}/{name} [^']*-d '(.*?)'", code)
            assert action.example in map(json.loads, posted)
        else:
            query = urlencode(action.example, safe=",")
            assert f"{CHANNEL}/{name}?{query}".rstrip("?") in code


def masked(text: str) -> str:
    """Return a text with the same time everywhere, and without progress bars."""
    return re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-11-28T12:00:00Z", text).strip()


def run(folder: Path, code: str, address: str) -> str:
    """Run shell commands as the page shows them; return what they printed."""
    code = code.replace(".venv/bin/python", sys.executable).replace(ADDRESS, address)
    done = subprocess.run(
        ["bash", "-euc", code.replace(".venv/bin/bfly", f"{sys.executable} -m bfly")],
        cwd=folder,
        env={**os.environ, "LOGNAME": "Ada"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return masked(done.stdout)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_examples_run_and_answer_as_the_page_says(
    tmp_path: Path, command: Callable[..., AbstractContextManager[str]]
) -> None:
    steps = blocks(PAGE.read_text())
    (tmp_path / "cells.py").write_text(steps[0][1])
    run(tmp_path, steps[1][1], "")
    assert steps[2] == ("sh", SERVER)
    with command("-e", "cells.yaml", "0", cwd=tmp_path) as url:
        said = ""
        for language, code in steps[3:]:
            if language == "sh":
                said = run(tmp_path, code, url.rstrip("/"))
            elif language == "json":
                assert json.loads(said) == json.loads(masked(code)), said
            else:
                assert said == masked(code)
