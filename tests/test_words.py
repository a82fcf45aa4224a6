"""Words that hide an actor: docstrings, comments and pages name it (client, viewer, thread …)."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]

WORD = re.compile(r"\b(who|whoever|whom|(some|any|no)body|(some|any)one)\b", re.I)
CODE = re.compile(r"```.*?```|``.+?``|`[^`]+`|^ *who : ", re.M | re.S)
"""Names in code are no prose; ``who`` is a field of edits."""

ALLOWED = {
    "bfly/edits/operation.py": {"Who made it"},
}
"""Parts of lines, by file, that mean a person."""


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and texts: a page as a whole, or each docstring and comment."""
    if path.suffix == ".md":
        yield 1, path.read_text("utf-8")
        return
    with tokenize.open(path) as file:
        tokens = [*tokenize.generate_tokens(file.readline)]
    yield from ((t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT)
    for node in ast.walk(ast.parse(path.read_bytes())):
        for part in (
            getattr(node, "body", ()) if not isinstance(node, ast.Lambda | ast.IfExp) else ()
        ):
            value = part.value if isinstance(part, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield part.lineno, value.value


def found_in(path: Path) -> Iterator[str]:
    name = str(path.relative_to(ROOT))
    for first, text in prose(path):
        blanked = CODE.sub(lambda code: "\n" * code[0].count("\n"), text)
        for number, line in enumerate(blanked.split("\n"), first):
            if WORD.search(line) and not any(part in line for part in ALLOWED.get(name, ())):
                yield f"{name}:{number}: {line.strip()}"


def test_actors_are_named() -> None:
    paths = [*(ROOT / "bfly").rglob("*.py"), *PAGES]
    found = [place for path in sorted(paths) for place in found_in(path)]
    assert not found, "\n".join([f"{len(found)} lines:", *found])
