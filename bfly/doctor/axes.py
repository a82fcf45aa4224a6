"""Axes that seem to be in another order, sections that are missing, voxels of unknown size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.doctor.subject import Subject

__all__ = ["axes", "gaps", "voxel_size"]

SHORTER = 4
"""So many times shorter than the others, an axis is that of the sections."""

THICKER = 2
"""So many times longer than along the others, a voxel is along the axis of the sections."""

KEY = "Write voxel_size: [z, y, x], in nanometres, at the channel in the configuration"


def axes(subject: Subject) -> Iterator[Finding]:
    """Look for a volume, or a voxel, whose x has the proportions of z."""
    z, y, x = subject.source.scales[0].shape
    if x * SHORTER < min(y, z):
        yield Finding(
            "axes",
            f"{z} sections of {y} x {x} voxels: x is by far the shortest, as if the file had "
            "its axes in the order x, y, z.",
            "If so, write it once more with its axes turned round: in numpy, volume.T.",
        )
    size = subject.source.voxel_size
    if size and size[2] >= THICKER * max(size[:2]):
        yield Finding(
            "axes",
            f"A voxel is {size[0]:g} x {size[1]:g} x {size[2]:g} nm (z, y, x): longest along x, "
            "as if it were given in the order x, y, z.",
            f"{KEY}.",
        )


def gaps(subject: Subject) -> Iterator[Finding]:
    """Say where sections are missing."""
    found = list(subject.source.gaps())
    if found:
        more = f" and {len(found) - 3:,} more" if len(found) > 3 else ""
        yield Finding(
            "gaps",
            f"Sections are missing {'; '.join(found[:3])}{more}.",
            "Put them there; of a stack, every later section lies at the wrong z.",
            is_error=True,
        )


def voxel_size(subject: Subject) -> Iterator[Finding]:
    """Look for a channel whose voxel size nobody states."""
    if subject.source.voxel_size is None:
        yield Finding(
            "voxel-size",
            "Its voxel size is not known; 1 nm is assumed.",
            f"{KEY}.",
        )
