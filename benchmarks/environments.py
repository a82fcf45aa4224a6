"""Environments of peers that are no dependencies: each has a Python of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["python_with"]


def python_with(folder: Path, *requirements: str) -> str | None:
    """Give the Python of an environment with some packages; None if they cannot be installed.

    Parameters
    ----------
    folder : Path
        Keeps the environments between runs.
    *requirements : str
        Each with its version.
    """
    made = folder / "-".join(each.replace("==", "-") for each in requirements)
    python = made / "bin" / "python"
    if not (made / "whole").exists():
        venv.create(made, clear=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        if subprocess.run([*pip, *requirements], capture_output=True, check=False).returncode:
            return None
        (made / "whole").touch()
    return str(python)
