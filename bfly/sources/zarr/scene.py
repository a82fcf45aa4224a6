"""Scenes of OME-Zarr 0.6: transformations between the images of a folder, which are not applied.

The format: https://ngff.openmicroscopy.org/specifications/0.6.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bfly.errors import NotAllowed, SourceError
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.zarr.images import ome_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bfly.storage.files import Files

__all__ = ["doubts_of_scene"]


def doubts_of_scene(path: str, files: Files, multiscale: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about transformations of an image in the scene of the folder above.

    Parameters
    ----------
    path : str
        Folder or URL of the image.
    files : Files
        Decides whether the scene may be read.
    multiscale : mapping
        The image; one without coordinate systems, which are those of OME-Zarr 0.6, is in no scene.
    """
    if "coordinateSystems" not in multiscale:
        return
    folder, name = os.path.split(path.rstrip("/"))
    try:
        scene = ome_of(KeyValueStore(folder, files).json, "").get("scene")
    except (NotAllowed, SourceError):
        return
    for step in (scene or {}).get("coordinateTransformations") or ():
        ends = [step.get("input"), step.get("output")]
        if any(isinstance(end, dict) and end.get("path") == name for end in ends):
            yield f"the transformation {step.get('type')} of its scene is not applied"
