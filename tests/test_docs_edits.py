"""The examples of proofreading, run as the page shows them, with the answers that it shows."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from bfly.commands.edits import TAKES
from bfly.queries.edit_actions import ACTIONS
from tests.fixtures.pages import blocks, masked, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "proofreading.md"
SERVER = ".venv/bin/bfly cells.yaml\n"
CHANNEL = "root/cells/cells/labels.h5"


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
