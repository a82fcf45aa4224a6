"""The imports of an installation are the dependencies in ``pyproject.toml``."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BROUGHT_ALONG = {"watchfiles": "uvicorn", "pydantic-core": "pydantic"}


def plain(name: str) -> str:
    return re.split(r"[\[<>=!~; ]", name)[0].lower().replace("_", "-")


def imported(folder: Path) -> set[str]:
    """Return the names of the packages that the modules of a folder import."""
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


def locked() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def asked_for() -> list[Requirement]:
    """Return all that is asked for anywhere, but for the project itself and its own groups."""
    extras, groups = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]
    lists = [PROJECT["project"]["dependencies"], *extras.values(), *groups.values()]
    texts = [text for texts in lists for text in texts if isinstance(text, str)]
    return [found for found in map(Requirement, texts) if found.name != "bfly"]


@pytest.mark.parametrize("python", ["3.11.7", "3.12.1", "3.13.0", "3.14.0"])
def test_each_python_gets_one_version_of_all_that_is_asked_for(python: str) -> None:
    here = {**default_environment(), "python_full_version": python, "python_version": python[:4]}
    versions: dict[str, str] = {}
    for pin in locked():
        if pin.marker is None or pin.marker.evaluate(here):
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert pin.name not in versions
            versions[pin.name] = exact.version
    for wanted in asked_for():
        assert wanted.specifier.contains(versions[plain(wanted.name)]), wanted


def test_the_lock_names_no_index_and_what_is_shipped_is_not_locked() -> None:
    assert not re.search(r"://|--", (ROOT / "constraints.txt").read_text())
    shipped = PROJECT["project"]
    for texts in (shipped["dependencies"], *shipped["optional-dependencies"].values()):
        assert not [text for text in texts if "==" in text]
    assert "constraints.txt" not in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]


def test_the_types_are_shipped() -> None:
    assert (ROOT / "bfly" / "py.typed").is_file()
