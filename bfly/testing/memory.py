"""Measurement of an encoder's memory, in a child process, since libraries allocate memory too.

It works on Linux only, which reports the peak memory of a process.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.encoders.strips import strips

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.encoders.encoder import Encoder
    from bfly.geometry import Zyx

__all__ = ["SLACK", "Case", "measured"]

SLACK = 16 << 20
"""Bytes allowed beyond what an encoder states: for tables of libraries, and for freed memory that
the allocator keeps."""


@dataclass(frozen=True)
class Case:
    """A cutout to be encoded.

    Parameters
    ----------
    shape : tuple of int
        Shape (z, y, x).
    dtype, view, kind : str
        As for `Encoder.encode`.
    part : int, optional
        The bytes of the largest part, for `Encoder.encode_parts`.
    smooth : bool
        Whether the voxels are runs, which compress well, instead of noise, which does not.
    """

    shape: Zyx
    dtype: str
    view: str = "grayscale"
    kind: str = "image"
    part: int | None = None
    smooth: bool = False


def measured(encoder: type[Encoder], cases: Sequence[Case]) -> list[int]:
    """Return for each case the peak of allocated bytes, excluding the voxels.

    Parameters
    ----------
    encoder : type
        A class that can be imported by name and created without arguments.
    cases : sequence of Case
        Measured one after the other in one child process.
    """
    name = f"{encoder.__module__}:{encoder.__qualname__}"
    task = json.dumps([vars(case) for case in cases])
    command = [sys.executable, "-m", __name__, name]
    run = subprocess.run(command, input=task, text=True, capture_output=True, check=False)
    if run.returncode:
        raise RuntimeError(f"Measuring {name} failed: {run.stderr}")
    found: list[int] = json.loads(run.stdout)
    return found


def _main(name: str) -> None:
    module, _, qualname = name.partition(":")
    encoder: Any = importlib.import_module(module)
    for part in qualname.split("."):
        encoder = getattr(encoder, part)
    cases = [Case(**{**words, "shape": tuple(words["shape"])}) for words in json.load(sys.stdin)]
    print(json.dumps([_peak(encoder(), case) for case in cases]))


def _peak(encoder: Encoder, case: Case) -> int:
    # Imports at the first use must not count.
    _encode(encoder, np.zeros((1, 1, 1), case.dtype), case)
    voxels = _voxels(case)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before = _status("VmRSS")
    _encode(encoder, voxels, case)
    return _status("VmHWM") - before


def _encode(encoder: Encoder, voxels: NDArray[Any], case: Case) -> None:
    if case.part is None:
        encoder.encode(voxels, view=case.view, kind=case.kind)
        return
    boxes = [*strips(voxels.shape, max(1, case.part // voxels.itemsize))]
    parts = (voxels[box] for box in (boxes[::-1] if encoder.upwards else boxes))
    for _ in encoder.encode_parts(parts, voxels.shape, view=case.view, kind=case.kind):
        pass


def _voxels(case: Case) -> NDArray[Any]:
    """Return voxels, made block by block, so that temporaries take little memory."""
    voxels = np.empty(math.prod(case.shape), case.dtype)
    rng = np.random.default_rng(0)
    block = np.arange(1 << 20) // 1000 % 200
    if case.smooth:
        made = block.astype(case.dtype)
    elif voxels.dtype.kind == "f":
        made = rng.random(len(block), np.float32)
    else:
        made = rng.integers(0, 256, len(block) * voxels.itemsize, np.uint8).view(case.dtype)
    for start in range(0, len(voxels), len(made)):
        voxels[start : start + len(made)] = made[: len(voxels) - start]
    return voxels.reshape(case.shape)


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {name}.")
    return int(found[1]) << 10


if __name__ == "__main__":
    _main(sys.argv[1])
