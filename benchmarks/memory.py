"""What memory a process takes, as Linux counts it."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["below", "forget_peak", "peak", "resident"]


def resident(pid: int | str) -> int:
    """Give the bytes that a process has in memory; its own are those of ``"self"``."""
    return _counted(pid, "VmRSS")


def peak(pid: int | str) -> int:
    """Give the most bytes that a process ever had in memory, or since `forget_peak`."""
    return _counted(pid, "VmHWM")


def forget_peak(pid: int | str) -> None:
    """Count the peak of a process from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def below(pid: int) -> list[int]:
    """Give the children of a process, and theirs."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    children = [int(word) for word in text.split()]
    return children + [each for child in children for each in below(child)]


def _counted(pid: int | str, name: str) -> int:
    found = re.search(rf"{name}:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10
