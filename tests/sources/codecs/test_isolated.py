"""Functions that crash, hang or fail do not end the program."""

from __future__ import annotations

import threading
import time

import pytest

from bfly.errors import SourceError
from bfly.sources.codecs import isolated as module
from bfly.sources.codecs.isolated import isolated


def test_what_a_function_returns() -> None:
    assert isolated("zlib", "crc32", b"123456789", "x") == 0xCBF43926


def test_an_error_is_named() -> None:
    with pytest.raises(SourceError, match=r"x cannot be decoded: .*incorrect header"):
        isolated("zlib", "decompress", b"nothing", "x")


def test_a_crash_is_an_error_of_its_data_alone() -> None:
    results: list[object] = []

    def work(function: str, data: bytes) -> None:
        try:
            results.append(isolated(*function.rsplit(".", 1), data, "x"))
        except SourceError as error:
            results.append(str(error))

    calls = [("tests.fixtures.crash.crash", b"")] + [("zlib.crc32", b"123456789")] * 6
    threads = [threading.Thread(target=work, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["3421780262"] * 6 + ["x is damaged: its decoder crashed."]


def test_a_function_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    isolated("zlib", "crc32", b"", "x")
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"x is not decoded within 0\.5 s"):
        isolated("tests.fixtures.crash", "hang", b"", "x")
    assert time.monotonic() - start < 20
    monkeypatch.undo()
    assert isolated("zlib", "crc32", b"123456789", "x") == 0xCBF43926
