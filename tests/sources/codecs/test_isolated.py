"""Functions that crash, hang or fail do not end the program."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from bfly.errors import SourceError
from bfly.sources.codecs import isolated as module
from bfly.sources.codecs.isolated import isolated

BAD = "tests.fixtures.crash"


def test_what_a_function_returns() -> None:
    for data in (b"123", b"", b"x" * (3 << 20)):
        found = isolated(BAD, "good", data, "x")
        assert (found.shape, found.tobytes()) == ((1, len(data)), data)
        found[:] = 0


def test_an_error_is_named() -> None:
    with pytest.raises(SourceError, match=r"x cannot be decoded: .*incorrect header"):
        isolated("zlib", "decompress", b"nothing", "x")


def test_a_crash_is_an_error_of_its_data_alone() -> None:
    results: list[str] = []

    def work(function: str) -> None:
        try:
            results.append(isolated(BAD, function, b"12", "x").tobytes().decode())
        except SourceError as error:
            results.append(str(error))

    threads = [threading.Thread(target=work, args=(name,)) for name in ["good", "crash"] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["12"] * 4 + ["x is damaged: its decoder crashed."] * 4


def test_a_function_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    isolated(BAD, "good", b"", "x")
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"x is not decoded within 0\.5 s"):
        isolated(BAD, "hang", b"", "x")
    assert time.monotonic() - start < 20
    monkeypatch.undo()
    assert isolated(BAD, "good", b"1", "x").tobytes() == b"1"


def test_a_program_without_a_main_guard_ends_with_its_processes() -> None:
    code = f"import {module.__name__} as m; print(m.isolated('{BAD}', 'good', b'12', 'x').tolist())"
    done = subprocess.run(
        [sys.executable, "-"], input=code, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[[49, 50]]\n"
