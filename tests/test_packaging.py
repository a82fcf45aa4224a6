"""What an installation needs is what ``pyproject.toml`` asks for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BROUGHT_ALONG = {"watchfiles": "uvicorn", "pydantic-core": "pydantic"}


def plain(name: str) -> str:
    return re.split(r"[\[<>=!~; ]", name)[0].lower().replace("_", "-")


def imported(folder: Path) -> set[str]:
    """Give the names of the packages that the modules of a folder import."""
    names = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"bfly"}


def distributions(packages: set[str]) -> set[str]:
    known = packages_distributions()
    found = {plain(known[package][0]) for package in packages}
    return {BROUGHT_ALONG.get(name, name) for name in found}


def test_all_that_is_imported_is_a_dependency() -> None:
    needed = distributions(imported(ROOT / "bfly"))
    stated = {plain(name) for name in PROJECT["project"]["dependencies"]}
    suites = {plain(name) for name in PROJECT["dependency-groups"]["suites"]}
    extras = {
        plain(name)
        for extra, names in PROJECT["project"]["optional-dependencies"].items()
        if extra != "all"
        for name in names
    }
    assert needed - stated == suites | extras


def test_the_types_are_shipped() -> None:
    assert (ROOT / "bfly" / "py.typed").is_file()
