"""Stored chunks that changed since they were written."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = "gzip, deflate, br, zstd"


@pytest.mark.parametrize("left", [0.0, 0.5, 0.9])
def test_a_chunk_cut_short_is_an_error(
    tmp_path: Path, serve, make_tree, ask, case, left: float
) -> None:
    path = tmp_path / case.name
    case.write(path)
    os.truncate(path / case.file, int(left * (path / case.file).stat().st_size))
    with serve(make_tree({"name": case.name, "path": str(path)})) as client:
        for address in case.paths:
            got, body = ask(client, case, address, EVERYTHING)
            assert got.status_code == 503
            assert case.file in body.decode()


@pytest.mark.parametrize("case", ["zarr2 zstd as zarr", "n5 gzip", "jpeg"], indirect=True)
def test_a_chunk_that_is_replaced_is_sent_anew(tmp_path: Path, serve, make_tree, ask, case) -> None:
    path = tmp_path / case.name
    case.write(path)
    file, other = path / case.file, path / "other"
    other.write_bytes((path / case.first).read_bytes())
    before, after = file.read_bytes(), other.read_bytes()
    assert before != after
    with serve(make_tree({"name": case.name, "path": str(path)})) as client:
        assert ask(client, case, case.paths[0], EVERYTHING)[1] == before
        other.replace(file)
        deadline = time.monotonic() + 30
        while (got := ask(client, case, case.paths[0], EVERYTHING)[1]) == before:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert got == after
