"""``datasource-properties.json``, in which webKnossos describes the layers of a dataset.

The format: https://docs.webknossos.org/webknossos/data/concepts.html, and the specification in
``webknossos/docs`` of https://github.com/scalableminds/webknossos-libs. Its order is x, y, z.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, zyx
from bfly.sources.shared.units import nanometres, sizes
from bfly.storage.limits import LEVELS, check_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.kinds.stated import Stated
    from bfly.sources.mips import VoxelSize

__all__ = ["DOCUMENT", "Dataset", "Layer", "Mag", "parsed", "steps_of"]

DOCUMENT = "datasource-properties.json"

KINDS = {"color": "image", "segmentation": "segmentation"}
"""Kinds by the ``category`` of a layer, and by the names of layers that nothing describes."""


@dataclass(frozen=True)
class Mag:
    """One resolution of a layer.

    Parameters
    ----------
    steps : tuple of int
        Voxels of mag 1 per voxel (z, y, x).
    path : str
        Of its array, relative to the dataset or the layer; a URL; "" if it is not stated.
    order : mapping of str to int
        Number of each axis of the array; empty if it is not stated.
    """

    steps: Zyx
    path: str
    order: Mapping[str, int]

    @property
    def names(self) -> Sequence[str]:
        """Usual names of its folder in that of the layer, such as ``2`` and ``2-2-1``."""
        long = "-".join(map(str, self.steps[::-1]))
        return [long] if len(set(self.steps)) > 1 else [str(self.steps[0]), long]


@dataclass(frozen=True)
class Layer:
    """A layer of a dataset.

    Parameters
    ----------
    name, format : str
        Its name, and its ``dataFormat``.
    kind : tuple of str, optional
        The kind that its category states, and what states it.
    box : BoundingBox, optional
        Its place in voxels of mag 1.
    mags : tuple of Mag
        Its mags, the finest first.
    others : mapping of str to int
        Number of each axis of its arrays that is neither of space nor of channels.
    element : str
        Its ``elementClass``.
    """

    name: str
    format: str
    kind: Stated | None
    box: BoundingBox | None
    mags: tuple[Mag, ...]
    others: Mapping[str, int]
    element: str


@dataclass(frozen=True)
class Dataset:
    """A dataset.

    Parameters
    ----------
    path : str
        Its folder or URL.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x) of a voxel of mag 1.
    layers : list of Layer
        In the order of the document.
    """

    path: str
    voxel_size: VoxelSize | None
    layers: list[Layer]

    def size_at(self, steps: Zyx) -> tuple[VoxelSize, str] | None:
        """Return the nanometres (z, y, x) of a voxel of a mag, and what states them."""
        if self.voxel_size is None:
            return None
        (z, y, x), (k, j, i) = self.voxel_size, steps
        return (z * k, y * j, x * i), "webKnossos scale"


def parsed(document: dict[str, Any], path: str) -> Dataset:
    """Return the dataset that a document describes.

    Raises
    ------
    SourceError
        A field has a value that the format lacks; the message has both.
    """
    where = f"{path}/{DOCUMENT}"
    layers = document.get("dataLayers") or []
    if not isinstance(layers, list) or not all(isinstance(each, dict) for each in layers):
        raise SourceError(f"{where}: dataLayers is {layers!r:.80}; it has to be a list of layers.")
    check_number(where, len(layers), 1 << 12, "layers")
    scale = document.get("scale")
    return Dataset(path, _scale(scale, where), [_layer(each, where) for each in layers])


def steps_of(text: Any, where: str) -> Zyx:
    """Return the voxels of mag 1 per voxel of a mag (z, y, x).

    Parameters
    ----------
    text : object
        A number, ``2``, ``mag2``, ``2-2-1`` or a list (x, y, z).
    where : str
        Names the field in the message.

    Raises
    ------
    SourceError
        It is none of these.
    """
    parts = text if isinstance(text, list) else str(text).removeprefix("mag").split("-")
    if len(parts) in (1, 3) and all(re.fullmatch("[1-9][0-9]{0,8}", str(part)) for part in parts):
        numbers = [int(part) for part in parts]
        return zyx((numbers if len(numbers) == 3 else numbers * 3)[::-1])
    raise SourceError(
        f"{where}: a mag is {text!r:.80}; allowed are a whole number from 1, such as 2, or three "
        "of them, such as 2-2-1 or [2, 2, 1]."
    )


def _layer(stated: dict[str, Any], where: str) -> Layer:
    name = stated.get("name")
    if not isinstance(name, str) or not name:
        raise SourceError(f"{where}: the name of a layer is {name!r:.80}; it has to be text.")
    where = f"{where}: {name}"
    named = (stated.get(key) for key in ("mags", "wkwResolutions", "resolutions"))
    mags: Any = next(filter(None, named), [])
    others = {
        str(axis["name"]): _whole(axis.get("index"), f"{where}: index")
        for axis in _listed(stated.get("additionalAxes") or [], f"{where}: additionalAxes")
    }
    listed = [_mag(each, where) for each in _listed(mags, f"{where}: mags")]
    check_number(where, len(listed), LEVELS, "mags")
    return Layer(
        name,
        str(stated.get("dataFormat")),
        _kind(stated),
        _box(stated.get("boundingBox"), where),
        tuple(sorted(listed, key=lambda mag: mag.steps[::-1])),
        others,
        str(stated.get("elementClass") or ""),
    )


def _kind(stated: dict[str, Any]) -> Stated | None:
    kind = KINDS.get(str(stated.get("category")))
    if kind:
        return kind, "webKnossos category"
    has_ids = isinstance(stated.get("largestSegmentId"), int)
    return ("segmentation", "webKnossos largestSegmentId") if has_ids else None


def _mag(stated: Any, where: str) -> Mag:
    """Return a mag of a layer; of ``resolutions``, as early documents have, it is a number."""
    if not isinstance(stated, dict):
        return Mag(steps_of(stated, where), "", {})
    steps = steps_of(stated.get("mag", stated.get("resolution")), where)
    order = stated.get("axisOrder") or {}
    if not isinstance(order, dict):
        raise SourceError(f"{where}: axisOrder is {order!r:.80}; it has to be a number by axis.")
    numbers = {str(axis): _whole(at, f"{where}: axisOrder") for axis, at in order.items()}
    return Mag(steps, str(stated.get("path") or ""), numbers)


def _box(stated: Any, where: str) -> BoundingBox | None:
    """Return the place of a layer; None if none is stated."""
    match stated:
        case None:
            return None
        case {"topLeft": [x, y, z], "width": width, "height": height, "depth": depth}:
            numbers = [_whole(each, f"{where}: boundingBox") for each in (depth, height, width)]
            start = zyx(_whole(each, f"{where}: boundingBox") for each in (z, y, x))
            if min(numbers) > 0:
                return BoundingBox.of_shape(zyx(numbers), start)
    raise SourceError(
        f"{where}: its boundingBox is {stated!r:.120}; allowed are a topLeft of three whole "
        "numbers, and a width, height and depth from 1."
    )


def _scale(stated: Any, where: str) -> VoxelSize | None:
    """Return the size of a voxel in nanometres (z, y, x); None without a known unit."""
    match stated:
        case {"factor": [x, y, z]}:
            unit = nanometres(stated.get("unit") or "nanometer")
        case [x, y, z]:
            unit = 1.0
        case _:
            return None
    try:
        return sizes((float(z), float(y), float(x)), unit)
    except (TypeError, ValueError):
        raise SourceError(f"{where}: its scale is {stated!r:.80}; allowed are lengths.") from None


def _whole(value: Any, where: str) -> int:
    if type(value) is not int or abs(value) > 1 << 62:
        raise SourceError(f"{where} has {value!r:.80}; allowed are whole numbers.")
    return value


def _listed(values: Any, where: str) -> list[Any]:
    if not isinstance(values, list):
        raise SourceError(f"{where} is {values!r:.80}; it has to be a list.")
    return values
