"""A process that opens and reads files, and is started anew when one ends it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from samples import write_samples  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM = 2 << 30
"""Bytes of address space above what the process has when idle."""

PATIENCE = 120.0
"""Seconds after which a file has hung the process."""


class Child:
    """A process that is given files, one after the other.

    Attributes
    ----------
    deaths : list of str
        The files that ended it.
    """

    def __init__(self, samples: Path) -> None:
        self._samples = samples
        self._process: subprocess.Popen[bytes] | None = None
        self._read = b""
        self.deaths: list[str] = []

    def look(self, task: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Let the process read a file; the result has ``died`` if that ended the process."""
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(task.encode() + b"\n")
        self._process.stdin.flush()
        assert self._line(patience).get("begun") == task
        answer = self._line(patience)
        if not answer:
            self.close(kill=True)
            self.deaths.append(task)
            return {"died": task}
        return answer

    def close(self, kill: bool = False) -> None:
        if self._process is not None:
            if kill:
                self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        self._read = b""
        environ = {**os.environ, "MALLOC_ARENA_MAX": "2"}
        command = [sys.executable, str(HERE / "child.py"), str(ROOM), str(self._samples)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
        )
        assert "ready" in self._line(PATIENCE)

    def _line(self, patience: float) -> dict[str, Any]:
        """Return the next line; nothing if none comes, or the process has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        end = time.monotonic() + patience
        while b"\n" not in self._read:
            ready, _, _ = select.select([output], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(output, 1 << 16) if ready else b""
            if not piece:
                return {}
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with samples of all formats."""
    folder = tmp_path_factory.mktemp("samples")
    real = Path(os.environ.get("BFLY_TEST_DATA", HERE.parents[3] / "shared" / "data"))
    write_samples(folder, real if real.is_dir() else None)
    return folder


@pytest.fixture
def child(samples: Path) -> Iterator[Child]:
    """Yield a process that looks at files."""
    child = Child(samples)
    yield child
    child.close()
