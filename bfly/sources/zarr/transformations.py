"""Coordinate transformations of OME-Zarr that move, scale and permute axes.

The format: https://ngff.openmicroscopy.org/specifications/0.6. A transformation maps points of an
input to an output. Served voxels have the axes of their array, so that only what keeps axes apart
can be applied: ``identity``, ``scale``, ``translation``, ``mapAxis``, ``byDimension`` and
``sequence`` of these. OME-Zarr 0.4 and 0.5 have the first three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Self

    Step = Mapping[str, Any]

__all__ = ["Placement", "leaves"]

DEPTH = 8
"""Transformations in each other; the format has three at most."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Coordinates of a point as a function of its index in an array.

    Coordinate i is ``scale[i] * index[axes[i]] + offset[i]``.

    Parameters
    ----------
    axes : tuple of int
        The axis of the array for each coordinate.
    scale, offset : tuple of float
        In the unit of each coordinate.
    """

    axes: tuple[int, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]

    @classmethod
    def of_array(cls, rank: int) -> Self:
        """Return the coordinates of an array itself: its indexes."""
        return cls(tuple(range(rank)), (1.0,) * rank, (0.0,) * rank)

    def then(self, step: Step, depth: int = 0) -> Placement | None:
        """Return the coordinates after a transformation; None if it cannot be applied.

        Raises
        ------
        ValueError, LookupError, TypeError
            Its numbers are not those of its type, or do not fit the number of coordinates.
        """
        rank = len(self.axes)
        match step:
            case {"type": "identity"}:
                return self
            case {"type": "scale", "scale": [*values]}:
                by = _numbers(values, rank)
                scale, offset = (
                    tuple(a * b for a, b in zip(each, by, strict=True))
                    for each in (self.scale, self.offset)
                )
                return Placement(self.axes, scale, offset)
            case {"type": "translation", "translation": [*values]}:
                moved = zip(self.offset, _numbers(values, rank), strict=True)
                return Placement(self.axes, self.scale, tuple(a + b for a, b in moved))
            case {"type": "mapAxis", "mapAxis": [*order]}:
                if sorted(order) != list(range(rank)):
                    raise ValueError(f"mapAxis is {order}, which is no order of {rank} axes")
                return self._part(order)
            case {"type": "byDimension", "transformations": [*items]} if depth < DEPTH:
                return self._by_dimension(items, depth)
            case {"type": "sequence", "transformations": [*items]} if depth < DEPTH:
                result: Placement | None = self
                for item in items:
                    result = result and result.then(item, depth + 1)
                return result
        return None

    def _part(self, order: Iterable[int]) -> Placement:
        """Return some of the coordinates, in an order."""
        index = list(order)
        return Placement(
            tuple(self.axes[i] for i in index),
            tuple(self.scale[i] for i in index),
            tuple(self.offset[i] for i in index),
        )

    def _by_dimension(self, items: Sequence[Step], depth: int) -> Placement | None:
        """Return coordinates that are each transformed on their own, if they stay as many."""
        found: dict[int, tuple[int, float, float]] = {}
        for item in items:
            inputs, outputs = item.get("inputAxes"), item.get("outputAxes")
            step = item.get("transformation")
            if inputs is None or outputs is None or step is None:
                return None
            if min(inputs, default=0) < 0 or found.keys() & {*outputs}:
                raise ValueError(f"byDimension has the axes {inputs} to {outputs}")
            part = self._part(inputs).then(step, depth + 1)
            if part is None:
                return None
            lines = zip(part.axes, part.scale, part.offset, strict=True)
            found.update(zip(outputs, lines, strict=True))
        rank = len(self.axes)
        if sorted(found) != list(range(rank)) or len({axis for axis, *_ in found.values()}) < rank:
            return None
        axes, scale, offset = zip(*(found[i] for i in range(rank)), strict=True)
        return Placement(axes, scale, offset)


def leaves(steps: Iterable[Step], depth: int = 0) -> Iterator[Step]:
    """Yield transformations in the order in which they are applied, without sequences."""
    for step in steps:
        inner = step.get("transformations") if step.get("type") == "sequence" else None
        if isinstance(inner, list) and depth < DEPTH:
            yield from leaves(inner, depth + 1)
        else:
            yield step


def _numbers(values: Sequence[Any], rank: int) -> list[float]:
    if len(values) != rank:
        raise ValueError(f"{values} are not {rank} numbers")
    return [float(value) for value in values]
