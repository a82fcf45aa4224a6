"""Damaged files of all formats: the answer is voxels or an error, and the process lives on."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.hostile.conftest import Child

FILES = int(os.environ.get("BFLY_TEST_FUZZ", "300"))
"""How many damaged files are read."""

SEED = os.environ.get("BFLY_TEST_SEED", "0")


@pytest.mark.parametrize("part", range(2))
def test_damaged_files(child: Child, samples: Path, tmp_path: Path, part: int) -> None:
    kept = []
    slowest = (0.0, "")
    start = time.monotonic()
    for number in range(part, FILES, 2):
        folder = tmp_path / str(number)
        found = child.look(f"fuzz {SEED}-{number} {samples} {folder}")
        if "died" in found or found["foreign"]:
            kept.append((str(folder), found.get("foreign") or "it ended the process"))
        slowest = max(slowest, (found.get("seconds", 0.0), str(number)))
    print(f"seed {SEED}, {FILES} files, part {part}, {time.monotonic() - start:.0f} s, {slowest}")
    assert not kept, f"seed {SEED}: {len(kept)} of {FILES}: {kept[:5]}"
