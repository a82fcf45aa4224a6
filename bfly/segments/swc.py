"""Skeletons as text: SWC, and JSON by columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

import bfly

if TYPE_CHECKING:
    from bfly.segments.kept_skeleton import KeptSkeleton

__all__ = ["json_of", "swc_of"]

NANOMETRES = 1000
"""Of a micrometre, the unit of SWC."""


def swc_of(made: KeptSkeleton, segment: int, source: str) -> bytes:
    """Return a skeleton as SWC, in micrometres.

    Nodes are numbered from 1, parents before children. The type of all is 0 (undefined).
    Source: the specification of the INCF, https://swc-specification.readthedocs.io; navis reads
    the unit from the line ``# Meta:``.

    Parameters
    ----------
    made : KeptSkeleton
        The skeleton.
    segment : int
        Its segment.
    source : str
        Where the segment is from, for the header.
    """
    meta = json.dumps({"name": str(segment), "id": segment, "units": "1 micrometer"})
    head = (
        f"# Meta: {meta}",
        f"# Skeleton of segment {segment} of {' '.join(source.split())}",
        f"# Made by Butterfly {bfly.__version__}",
        f"# TEASAR on voxels of mip {made.mip}; x, y, z and radius in micrometres",
        "# node type x y z radius parent",
    )
    places = made.vertices / NANOMETRES
    radii, parents = made.radii / NANOMETRES, made.parents
    rows = zip(places.tolist(), radii.tolist(), parents.tolist(), strict=True)
    lines = (
        f"{node} 0 {x:.6g} {y:.6g} {z:.6g} {radius:.4g} {parent + 1 if parent >= 0 else -1}"
        for node, ((x, y, z), radius, parent) in enumerate(rows, 1)
    )
    return "\n".join((*head, *lines, "")).encode()


def json_of(made: KeptSkeleton, segment: int) -> bytes:
    """Return a skeleton as JSON by columns, its nodes numbered as in SWC, in nanometres."""
    parents = np.where(made.parents < 0, -1, made.parents + 1)
    columns = {
        "node": list(range(1, len(parents) + 1)),
        "parent": parents.tolist(),
        **dict(zip("xyz", made.vertices.T.round(1).tolist(), strict=True)),
        "radius": made.radii.round(1).tolist(),
    }
    about = {
        "id": segment,
        "unit": "nm",
        "mip": made.mip,
        "cable_length_um": made.length / NANOMETRES,
        "branch_points": made.branch_points,
        "mean_radius_nm": made.mean_radius,
    }
    return json.dumps({**about, **columns}).encode()
