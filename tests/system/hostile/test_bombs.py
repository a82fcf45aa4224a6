"""Small files that state enormous sizes: an error with the name of the file, or voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bombs import BOMBS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.hostile.conftest import Child

LONGEST = 30.0
"""Seconds for one file, on a machine that has other things to do."""


@pytest.fixture(scope="module")
def one(samples: Path) -> Iterator[Child]:
    """Yield a process that looks at one file after the other, as a server does."""
    from tests.system.hostile.conftest import Child

    child = Child(samples)
    yield child
    child.close()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_an_error_or_voxels(name: str, tmp_path: Path, one: Child) -> None:
    path = BOMBS[name](tmp_path)
    found = one.look(str(path))
    assert "died" not in found, "it ended the process"
    assert not found["foreign"]
    assert found["seconds"] < LONGEST
    assert found["values"] or found["errors"]
    assert all(str(tmp_path) in error for error in found["errors"]), found["errors"]


def test_there_are_bombs_of_all_kinds() -> None:
    assert len(BOMBS) >= 100
