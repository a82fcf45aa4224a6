"""Names of the files that hold the voxels of an NRRD header, and which part each of them has.

The format: https://teem.sourceforge.net/nrrd/format.html#detached. ``data file`` is a name, or
numbers for the ``%d`` in a name, or ``LIST`` with a name on each line after it. Each file has the
axes before ``subdim``, at one place on the others; or, if that is the number of axes, a share of
the last axis.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.shared.axes import VolumeAxes
from bfly.storage.limits import check_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.geometry import Zyx

__all__ = ["LIST", "DataFiles", "data_files"]

LIST = re.compile(rb"^data ?file:[ \t]*LIST\b([^\r\n]*)\r?\n", re.M | re.I)
"""The last field of a header that continues with the names of several files."""

PATTERN = re.compile(r"(.*?\S)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)(?:\s+(\d+))?")
"""A name with ``%d``; the first and the last number, and the step; optionally ``subdim``."""

NUMBER = re.compile(r"%(0?)(\d{0,2})[diu]")
"""The place of a number in a name, as in C's ``printf``."""

MOST = 50_000
"""Most files: all of them are watched for changes."""


@dataclass(frozen=True)
class DataFiles:
    """The files of an array, and how the axes are divided among them.

    Parameters
    ----------
    names : tuple of str
        Names as in the header, the first axis that is divided fastest.
    sizes : tuple of int
        Length of each axis in a file.
    counts : tuple of int
        Number of files along each axis.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    counts: tuple[int, ...]

    def of_volume(self, axes: VolumeAxes) -> tuple[tuple[str, ...], Zyx, VolumeAxes]:
        """Return the files of a volume, their number along z, y and x, and its axes in each.

        Parameters
        ----------
        axes : VolumeAxes
            Axes of the volume in the whole array, and its place on the others.
        """
        strides = [math.prod(self.counts[:axis]) for axis in range(len(self.counts))]
        first = sum(at // self.sizes[axis] * strides[axis] for axis, at in axes.at.items())
        ranges = [range(0, self.counts[axis] * strides[axis], strides[axis]) for axis in axes.zyx]
        numbers = (first + sum(places) for places in itertools.product(*ranges))
        counts = [1] * (3 - len(axes.zyx)) + [self.counts[axis] for axis in axes.zyx]
        inner = {axis: at % self.sizes[axis] for axis, at in axes.at.items()}
        inside = VolumeAxes(axes.zyx, inner, axes.lengths)
        return tuple(self.names[number] for number in numbers), zyx(counts), inside


def data_files(
    value: str, listed: Sequence[str] | None, sizes: Sequence[int], path: str
) -> DataFiles:
    """Return the files that a header names.

    Parameters
    ----------
    value : str
        The field ``data file``; of a list, what follows ``LIST``.
    listed : sequence of str, optional
        The names of a list.
    sizes : sequence of int
        Length of each axis, the fastest first.
    path : str
        The header, for messages.

    Raises
    ------
    SourceError
        The files do not share the array evenly.
    """
    count = len(sizes)
    if listed is not None:
        if value.strip() and not value.strip().isdigit():
            raise SourceError(
                f"{path}: data file is {f'LIST {value.strip()}'!r:.50}; allowed is LIST, with a "
                "number of axes at most."
            )
        names, subdim = tuple(listed), int(value) if value.strip() else count - 1
    elif (found := PATTERN.fullmatch(value)) and NUMBER.search(found[1]):
        names = _numbered(found, path)
        subdim = int(found[5]) if found[5] else count - 1
    else:
        return DataFiles((value,), tuple(sizes), (1,) * count)
    check_number(path, len(names), MOST, "data files")
    if not 1 <= subdim <= count:
        raise SourceError(f"{path}: its data files have {subdim} axes; allowed are 1 to {count}.")
    inner, outer = list(sizes), [1] * count
    if subdim == count and names and sizes[-1] % len(names) == 0:
        inner[-1], outer[-1] = sizes[-1] // len(names), len(names)
    else:
        inner[subdim:], outer[subdim:] = [1] * (count - subdim), list(sizes[subdim:])
    if math.prod(outer) != len(names):
        shape = " x ".join(map(str, sizes))
        raise SourceError(
            f"{path} names {len(names)} data files of {subdim} axes for {shape} voxels; "
            f"{math.prod(outer)} are needed."
        )
    return DataFiles(names, tuple(inner), tuple(outer))


def _numbered(found: re.Match[str], path: str) -> tuple[str, ...]:
    """Return the names of a pattern, such as ``slice%03d.raw 1 20 1``."""
    name, first, last, step = found[1], *map(int, found.group(2, 3, 4))
    if len(NUMBER.findall(name)) != 1 or name.count("%") != 1:
        raise SourceError(f"{path}: data file is {found[0]!r:.50}; allowed is one %d in the name.")
    if step == 0 or (last - first) // step < 0:
        raise SourceError(
            f"{path}: data file is {found[0]!r:.50}; its step {step} does not lead from {first} to "
            f"{last}."
        )
    check_number(path, (last - first) // step + 1, MOST, "data files")
    numbers = range(first, last + (1 if step > 0 else -1), step)

    def text(number: int) -> str:
        return NUMBER.sub(lambda place: f"{number:{place[1]}{place[2]}d}", name)

    return tuple(map(text, numbers))
