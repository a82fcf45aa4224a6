"""Where the arrays of a pyramid of OME-Zarr are: names and units of their axes, sizes, positions.

OME-Zarr 0.1 to 0.3 state no sizes. 0.4 and 0.5 have ``axes``, and transformations of each array
and of all. 0.6 has ``coordinateSystems`` instead: transformations lead from an array to a first
system, and may lead from it to others (https://ngff.openmicroscopy.org/specifications/0.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bfly.sources.shared.units import nanometres
from bfly.sources.zarr.transformations import Placement, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bfly.sources.mips import VoxelSize
    from bfly.sources.zarr.transformations import Step

    Document = Mapping[str, Any]

__all__ = ["Coordinates", "coordinates_of"]


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Coordinates of the voxels of an array.

    Parameters
    ----------
    axes : sequence, optional
        Description of each axis of the array, as OME-Zarr has it; None if it states none.
    scale, offset : list of float
        Size of a voxel and centre of the first one along each axis of the array, in the unit of
        the axis.
    has_size : bool
        Whether the file states the size of a voxel.
    has_ratio, is_placed : bool
        Whether it states a scale of this array, and a position.
    doubts : tuple of str
        What the file states and is not applied, each as a sentence without its subject.
    """

    axes: Sequence[Any] | None
    scale: list[float]
    offset: list[float]
    has_size: bool
    has_ratio: bool
    is_placed: bool
    doubts: tuple[str, ...]

    def voxel_size(self, axes: Sequence[int]) -> VoxelSize | None:
        """Return nanometres (z, y, x) of a voxel; None if no unit of length is stated.

        Parameters
        ----------
        axes : sequence of int
            Which axes of the array are z, y and x; a single section has no size along z.
        """
        described = self.axes or []
        units = [axis.get("unit") if isinstance(axis, dict) else None for axis in described]
        if not self.has_size or not units or len(axes) != 3:
            return None
        lengths = [nanometres(units[axis]) for axis in axes]
        z, y, x = (self.scale[axis] * (by or 0) for axis, by in zip(axes, lengths, strict=True))
        return (z, y, x) if all(lengths) else None


def coordinates_of(
    multiscale: Document, dataset: Document, rank: int, image: Document | None = None
) -> Coordinates:
    """Return the coordinates of an array.

    Parameters
    ----------
    multiscale : mapping
        One of the ``multiscales``.
    dataset : mapping
        One of its ``datasets``.
    rank : int
        Number of axes of the array.
    image : mapping, optional
        For labels, the entry of their image. Its first coordinate system is theirs too, so that
        they follow it to another one.

    Raises
    ------
    ValueError, LookupError, TypeError
        A transformation does not fit the number of axes.
    """
    systems = multiscale.get("coordinateSystems")
    own, common = _steps(dataset), _steps(multiscale)
    doubts: list[str] = []
    placement, applied = _applied(own, rank, doubts)
    has_ratio = "scale" in _all_kinds(applied)
    if not systems:
        if not doubts:
            placement, more = _applied(common, rank, doubts, placement)
            applied += more
        axes = multiscale.get("axes") or None
    else:
        name = _first_system(own, systems)
        if not doubts:
            here = [step for step in common if not _other_group(step)]
            name, placement, more = _followed(here, name, placement, doubts)
            if not common and image:
                onward = [step for step in _steps(image) if not _is_same_place(step)]
                of_image = image.get("coordinateSystems") or []
                if onward and of_image and len(of_image[0]["axes"]) == rank:
                    systems, name = of_image, _first_system(_steps(image["datasets"][0]), of_image)
                    name, placement, more = _followed(onward, name, placement, doubts)
                else:
                    doubts += [f"{_named(step)} of its image is not applied" for step in onward]
            applied += more
        axes = next((system["axes"] for system in systems if system["name"] == name), None)
    order = placement.axes
    kinds = _all_kinds(applied)
    return Coordinates(
        [axes[order.index(axis)] for axis in range(rank)] if axes and len(axes) == rank else axes,
        [placement.scale[order.index(axis)] for axis in range(rank)],
        [placement.offset[order.index(axis)] for axis in range(rank)],
        bool(kinds & {"scale", "identity"}),
        has_ratio,
        "translation" in kinds,
        tuple(doubts),
    )


def _steps(holder: Document) -> list[Step]:
    """Return the transformations of an array, or of all arrays of a pyramid."""
    return list(holder.get("coordinateTransformations") or [])


def _applied(
    steps: Sequence[Step], rank: int, doubts: list[str], start: Placement | None = None
) -> tuple[Placement, list[Step]]:
    """Apply transformations up to the first that cannot be; return the applied ones too."""
    placement, applied = start or Placement.of_array(rank), []
    for step in leaves(steps):
        after = placement.then(step)
        if after is None:
            doubts.append(f"{_named(step)} is not applied, nor what follows it")
            break
        placement = after
        applied.append(step)
    return placement, applied


def _first_system(own: Sequence[Step], systems: Sequence[Document]) -> str:
    """Return the system that the transformations of an array lead to."""
    stated = [_end(step.get("output")) for step in own]
    known = [system["name"] for system in systems]
    return next((name for name in stated if name in known), str(known[0]))


def _followed(
    common: Sequence[Step], name: str, placement: Placement, doubts: list[str]
) -> tuple[str, Placement, list[Step]]:
    """Follow the only way from a system on; return the last system, and what was applied."""
    rest = list(common)
    applied: list[Step] = []
    while ways := [step for step in rest if _is_from(step, name)]:
        after = placement.then(ways[0]) if len(ways) == 1 else None
        if after is None:
            break
        placement, name = after, _end(ways[0].get("output")) or name
        applied += ways
        rest.remove(ways[0])
    doubts += [f"{_named(step)} is not applied; served is {name}" for step in rest]
    return name, placement, applied


def _is_from(step: Step, name: str) -> bool:
    """Return whether a transformation leads from a system to another one of the same group."""
    return _end(step.get("input")) in (name, "") and not _other_group(step)


def _is_same_place(step: Step) -> bool:
    """Return whether a transformation says that labels are where their image is."""
    return bool(_other_group(step)) and step.get("type") == "identity"


def _other_group(step: Step) -> str:
    """Return the path of the other group that a transformation concerns; "" if none."""
    ends = (step.get("input"), step.get("output"))
    return next((str(end["path"]) for end in ends if isinstance(end, dict) and end.get("path")), "")


def _end(end: Any) -> str:
    """Return the name of an input or output: an object, or a string as in drafts of 0.6."""
    return str((end.get("name") if isinstance(end, dict) else end) or "")


def _named(step: Step) -> str:
    """Return a transformation in words."""
    ends = " to ".join(filter(None, (_end(step.get("input")), _end(step.get("output")))))
    ends += f" of {_other_group(step)}" if _other_group(step) else ""
    return f"its transformation {step.get('type')!s:.40}" + (f" ({ends:.100})" if ends else "")


def _all_kinds(steps: Iterable[Step]) -> set[str]:
    """Return the types of transformations, and of those that they have for single axes."""
    kinds: set[str] = set()
    for step in leaves(steps):
        kinds.add(str(step.get("type")))
        if step.get("type") == "byDimension":
            kinds |= _all_kinds(item["transformation"] for item in step["transformations"])
    return kinds
