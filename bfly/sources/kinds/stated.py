"""What files say about the kind of their voxels, in attributes and in names of datasets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = [
    "NAMES",
    "Stated",
    "inside",
    "kind_of_attributes",
    "kind_of_place",
    "kind_of_words",
    "names_of",
]

Stated = tuple[str, str]
"""A kind, and what states it (``attribute display_mode``)."""

NAMES = ("display_mode", "painteraData", "isLabelMultiset", "maxId")
"""All attributes that are read."""

DISPLAYED = {
    "grayscale": "image",
    "alpha-modulated": "image",
    "random-colortable": "segmentation",
    "binary-mask": "segmentation",
}
"""Kinds by ``display_mode``, in which ilastik says how an export is shown."""

PAINTERA = {"raw": "image", "label": "segmentation"}
"""Kinds by the ``type`` in Paintera's ``painteraData``."""

CONTAINER = re.compile(r"\.(zarr|zr\d?|n5)(\.zip)?$", re.IGNORECASE)
"""End of the name of a folder with many arrays."""

GREY_PLACE = re.compile(r"(^|/)(volumes/raw|em/fibsem-u?int(8|16))(/s\d+)?$")
"""Places of EM in files of CREMI, and of COSEM."""

LABEL_PLACE = re.compile(r"(^|/)labels/[^/]")
"""Places of labels in files of CREMI and COSEM, and in OME-Zarr (``labels/NAME``)."""

MAPS = re.compile(r"pred|prob|dist|affin|boundar|(^|[^a-z])(raw|affs)([^a-z]|$)", re.IGNORECASE)
"""Names of maps with grey values among labels."""

OF_LABELS = re.compile(
    r"seg(ment|s?$|[^a-z])|label|supervoxel|superpixel|neuron|watershed|mask|annotat|\bids?\b",
    re.IGNORECASE,
)
"""Usual names of labels."""

OF_IMAGES = re.compile(
    r"(^|[^a-z])(raw|em|image|images|im|grey|gray|greyscale|grayscale|fib-?sem|sbem|tomogram|tomo|"
    r"rec|ct)([^a-z]|$)",
    re.IGNORECASE,
)
"""Usual names of images."""


def kind_of_attributes(attributes: Mapping[str, Any]) -> Stated | None:
    """Return the kind that attributes of an array or its group state.

    Parameters
    ----------
    attributes : mapping
        ``display_mode`` of ilastik, or ``painteraData``, ``isLabelMultiset`` and ``maxId`` of
        Paintera; others are ignored.
    """
    mode = attributes.get("display_mode")
    if isinstance(mode, bytes):
        mode = mode.decode("ascii", "replace")
    if isinstance(mode, str) and mode in DISPLAYED:
        return DISPLAYED[mode], "attribute display_mode"
    match attributes.get("painteraData"):
        case {"type": str() as word} if word in PAINTERA:
            return PAINTERA[word], "attribute painteraData"
    if attributes.get("isLabelMultiset") is True:
        return "segmentation", "attribute isLabelMultiset"
    if isinstance(attributes.get("maxId"), int):
        return "segmentation", "attribute maxId"
    return None


def kind_of_place(name: str) -> Stated | None:
    """Return the kind that the name of a dataset inside a file states by convention.

    Parameters
    ----------
    name : str
        Path of the dataset inside the file, such as ``volumes/labels/neuron_ids``.
    """
    name = name.strip("/")
    if GREY_PLACE.search(name):
        return "image", f"dataset {name}"
    if LABEL_PLACE.search(name) and not MAPS.search(name):
        return "segmentation", f"dataset {name}"
    return None


def kind_of_words(name: str) -> Stated | None:
    """Return the kind that a name suggests, if it suggests one."""
    labels, image = OF_LABELS.search(name), OF_IMAGES.search(name) or MAPS.search(name)
    if labels and not image:
        return "segmentation", name
    return ("image", name) if image and not labels else None


def inside(path: str, dataset: str) -> str:
    """Return the path of an array inside its file or folder.

    Parameters
    ----------
    path : str
        The path of the channel, which may go on into a container: ``a.zarr/labels/cells``.
    dataset : str
        Path of the array in that file or folder.
    """
    steps = path.rstrip("/").split("/")
    outer = [at for at, step in enumerate(steps[:-1]) if CONTAINER.search(step)]
    below = steps[outer[-1] + 1 :] if outer else []
    return "/".join([*below, *filter(None, [dataset.strip("/")])])


def names_of(path: str, dataset: str) -> tuple[str, str]:
    """Return the names of an array, the more telling first: its place inside, then its file."""
    return inside(path, dataset), os.path.basename(path.rstrip("/"))
