"""Checks for a wrong axis order, missing sections and an unknown voxel size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.doctor.subject import Subject

__all__ = ["axes", "gaps", "voxel_size"]

SHORTER = 4
"""An axis that is this many times shorter than the others is treated as the section axis."""

THICKER = 2
"""A voxel axis that is this many times longer than the others is treated as the section axis."""

KEY = "Write voxel_size: [z, y, x], in nanometres, at the channel in the configuration"


def axes(subject: Subject) -> Iterator[Finding]:
    """Check for a volume or a voxel with x in the proportions of z."""
    z, y, x = subject.source.scales[0].shape
    if x * SHORTER < min(y, z):
        yield Finding(
            "axes",
            f"{z} sections of {y} x {x} voxels: x is by far the shortest, as if the file had "
            "its axes in the order x, y, z.",
            "If so, rewrite it with the axes reversed: in numpy, volume.T.",
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
    """Report missing sections."""
    places = list(subject.source.gaps())
    if places:
        more = f" and {len(places) - 3:,} more" if len(places) > 3 else ""
        yield Finding(
            "gaps",
            f"Sections are missing {'; '.join(places[:3])}{more}.",
            "Put them there; of a stack, every later section lies at the wrong z.",
            is_error=True,
        )


def voxel_size(subject: Subject) -> Iterator[Finding]:
    """Check for a channel without a stated voxel size."""
    if subject.source.voxel_size is None:
        yield Finding(
            "voxel-size",
            "Its voxel size is not known: lengths count voxels, and precomputed has 1 nm.",
            f"{KEY}, or serve a folder with --voxel-size.",
        )
