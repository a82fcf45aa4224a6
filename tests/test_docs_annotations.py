"""The examples of annotations, run as the page shows them, with the answers that it shows."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from bfly.queries.annotation_actions import ANNOTATION_ACTIONS
from tests.fixtures.pages import blocks, masked, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "annotations.md"
DATASET = "/api/annotations/root/cells/cells"


def test_every_action_has_its_example() -> None:
    text = PAGE.read_text()
    headings = re.findall(r"^### (\w+ `\w+`)$", text, re.M)
    assert set(headings) == {
        f"{action.method} `{name}`" for name, action in ANNOTATION_ACTIONS.items()
    }
    code = "\n".join(code for language, code in blocks(text) if language == "sh")
    for name, action in ANNOTATION_ACTIONS.items():
        if action.method == "POST":
            posted = re.findall(rf"{DATASET}/{name} [^']*-d '(.*?)'", code, re.S)
            assert action.example in map(json.loads, posted)
        else:
            assert f"{DATASET}/{name}?{urlencode(action.example)}" in code


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_examples_run_and_answer_as_the_page_says(
    tmp_path: Path, command: Callable[..., AbstractContextManager[str]]
) -> None:
    program, settings = (code for _, code in blocks((DOCS / "proofreading.md").read_text())[:2])
    (tmp_path / "cells.py").write_text(program)
    run(tmp_path, settings, "")
    with command("-e", "cells.yaml", "0", cwd=tmp_path) as url:
        said = ""
        for language, code in blocks(PAGE.read_text()):
            if language == "sh":
                said = run(tmp_path, code, url.rstrip("/"))
            elif language == "python":
                (tmp_path / "places.py").write_text(code.replace("http://localhost:2001/", url))
                said = run(tmp_path, ".venv/bin/python places.py", "")
            elif language == "json":
                assert json.loads(said) == json.loads(masked(code)), said
            else:
                assert said == masked(code)
