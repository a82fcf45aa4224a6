"""Groups of OME-Zarr as their specification has them, written with zarr-python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

VERSIONS = [(2, "0.4"), (3, "0.5")]
"""Versions of zarr and of OME-Zarr."""


def axes(names: str = "zyx", unit: str = "nanometer") -> list[dict[str, str]]:
    """Return descriptions of axes."""
    kinds = {"c": "channel", "t": "time"}
    return [
        {"name": name, "type": kinds[name]}
        if name in kinds
        else {"name": name, "type": "space", "unit": unit}
        for name in names
    ]


def step(kind: str, values: Any, **words: Any) -> dict[str, Any]:
    """Return a transformation."""
    return {"type": kind, kind: values, **words}


def group(path: Path, zarr_format: int, words: Mapping[str, Any]) -> Path:
    """Write a group with the attributes of OME-Zarr."""
    made = zarr.open_group(str(path), mode="a", zarr_format=zarr_format)
    made.attrs.update(words if zarr_format == 2 else {"ome": {"version": "0.5", **words}})
    return path


def image(
    path: Path,
    levels: Sequence[Any],
    zarr_format: int = 2,
    steps: Sequence[Sequence[Mapping[str, Any]]] = (),
    words: Mapping[str, Any] | None = None,
    **multiscale: Any,
) -> Path:
    """Write an image: its levels, the transformations of each, and other attributes.

    The axes are z, y and x in nanometres unless `multiscale` has others. If there are no
    transformations, each halving is a scale of twice 40 x 4 x 4.
    """
    made = zarr.open_group(str(path), mode="a", zarr_format=zarr_format)
    datasets = []
    for number, level in enumerate(levels):
        name = f"{multiscale.pop('prefix', '')}{number}"
        made.create_array(name, data=level, chunks=(1,) * (level.ndim - 3) + (4, 16, 16))
        usual = [step("scale", [40, 4 << number, 4 << number])]
        transformations = steps[number] if steps else usual
        datasets.append({"path": name, "coordinateTransformations": list(transformations)})
    described = {"version": "0.4", "axes": axes(), **multiscale, "datasets": datasets}
    return group(path, zarr_format, {**(words or {}), "multiscales": [described]})
