"""What decides image or segmentation, measured: ``python -m benchmarks.kinds``.

It prints the table of ``docs/kinds.md``, and fails if a real volume gets the wrong kind.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.kind_volumes import known_volumes
from bfly.sources.kinds.sample import sampled
from bfly.sources.npy import Npy

if TYPE_CHECKING:
    from benchmarks.kind_volumes import Known

__all__ = ["row"]

HEAD = """\
| volume | dtype | is | equal | runs | blobs | score | decided |
|---|---|---|---|---|---|---|---|"""


def row(known: Known, folder: Path) -> tuple[str, bool, bool]:
    """Return the line of a volume, whether its kind is wrong, and whether it is doubtful."""
    path = folder / "volume.npy"
    np.save(path, known.voxels)
    source = Npy.open(str(path))
    found, _ = sampled(source, is_remote=False)
    is_wrong = source.kind != known.kind
    decided = "doubtful" if source.kind_doubt else "**wrong**" if is_wrong else "right"
    numbers = f"{found.share:.2f} | {found.runs:.2f} | {found.blobs:.2f} | {found.score:.2f}"
    line = f"| {known.name} | {known.voxels.dtype} | {known.kind} | {numbers} | {decided} |"
    return line, is_wrong and not source.kind_doubt, bool(source.kind_doubt)


def main() -> None:
    """Print a table for each origin, and how many are right, wrong and doubtful."""
    tables: dict[str, list[tuple[str, bool, bool]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for known in known_volumes():
            tables.setdefault(known.origin, []).append(row(known, Path(folder)))
    for origin, rows in tables.items():
        wrong, doubtful = (sum(each[which] for each in rows) for which in (1, 2))
        print(
            f"\n## {origin.capitalize()}: {len(rows)} volumes, {wrong} wrong, {doubtful} doubtful"
        )
        print("", HEAD, *(line for line, *_ in rows), sep="\n")
    if any(is_wrong for _, is_wrong, _ in tables.get("real", ())):
        raise SystemExit("A real volume has the wrong kind.")


if __name__ == "__main__":
    main()
