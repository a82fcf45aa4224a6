"""N5: a dataset, or a group of scales ``s0``, ``s1``, … in any of the usual dialects.

The format: https://github.com/saalfeldlab/n5. Its axis order is x, y, z. n5-viewer, BigDataViewer,
Paintera and COSEM describe scales by different attributes.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.geometry import zyx
from bfly.sources.kinds.stated import kind_of_attributes
from bfly.sources.n5.blocks import header_size, ways_of
from bfly.sources.shared.arrays import Array, grid_names
from bfly.sources.shared.blosc_headers import BloscHeaders
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.shared.single_file import singletons
from bfly.sources.shared.tensorstore import TensorSource
from bfly.sources.shared.voxel_size import stated_size
from bfly.storage.files import Files
from bfly.storage.limits import LEVELS, sides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.sources.mips import VoxelSize

__all__ = ["N5"]

Document = dict[str, Any]

DOCUMENT = "attributes.json"


class N5(TensorSource):
    """An N5 dataset, or a group with the datasets ``s0``, ``s1``, ….

    The first axis is x. Axes of length 1 are skipped where there are more than three. The factor
    of a scale is from ``downsamplingFactors`` of the scale or the group, or the group's ``scales``.
    Otherwise it is computed from stated voxel sizes, or else from the shapes.
    """

    name = "n5"
    endings: ClassVar[Mapping[str, str]] = {"zip": "an archive of N5"}
    marks = (DOCUMENT, "s0")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether ``attributes.json`` is that of a dataset, here or in ``s0``."""
        try:
            store = KeyValueStore(path, Files([path]))
            return any(_is_dataset(store.json(name)) for name in (DOCUMENT, f"s0/{DOCUMENT}"))
        except Oversized:
            return True
        except (NotAllowed, SourceError):
            return False

    def _arrays(self) -> dict[str, Array]:
        group = self.document(DOCUMENT) or {}
        self._stated_kind = kind_of_attributes(group)
        if _is_dataset(group):
            return {"": self._array("", group, None)}
        scales: dict[str, Document] = {}
        for number in range(LEVELS):
            attributes = self.document(f"s{number}/{DOCUMENT}")
            if attributes is None or not _is_dataset(attributes):
                break
            scales[f"s{number}"] = attributes
        if not scales:
            raise SourceError(f"{self.path} has neither a dataset nor scales s0, s1, ….")
        arrays = {}
        for number, (name, attributes) in enumerate(scales.items()):
            ratio = _factor(attributes.get("downsamplingFactors"))
            ratio = ratio or _factor(_item(group.get("downsamplingFactors"), number))
            ratio = ratio or _factor(_item(group.get("scales"), number))
            arrays[name] = self._array(name, attributes, ratio)
        first = arrays["s0"]
        self._stated_kind = self._stated_kind or kind_of_attributes(scales["s0"])
        self._stated = self._stated or self._of_group(group, first)
        for name, attributes in scales.items():
            own, finest = _own_size(attributes, first), _own_size(scales["s0"], first)
            if arrays[name].ratio is None and own and finest and name != "s0":
                z, y, x = (a / b for a, b in zip(own, finest, strict=True))
                if max(z, y, x) > 1:
                    arrays[name] = self._array(name, attributes, (z, y, x))
        return arrays

    def _of_group(self, group: Document, first: Array) -> tuple[VoxelSize, str] | None:
        """Find a voxel size in the group's attributes: its own, or in COSEM's multiscales."""
        for multiscale in group.get("multiscales") or []:
            for dataset in multiscale.get("datasets") or []:
                if dataset.get("path") == "s0":
                    return stated_size(dataset, first.axes)
        return stated_size(group, first.axes)

    def _array(self, name: str, attributes: Document, ratio: VoxelSize | None) -> Array:
        shape = tuple(attributes["dimensions"])
        # Reversed, the axes are z, y, x, or y, x.
        kept = singletons(shape[::-1], self.path) if len(shape) != 2 else (0, 1)
        axes = tuple(len(shape) - 1 - axis for axis in kept)
        if name in ("", "s0"):
            self._stated = stated_size(attributes, axes)
        block = sides(attributes["blockSize"], "blockSize", self.path)
        names = grid_names(name, axes, len(shape), block, "/")
        place = _place(attributes)
        stored = ways_of(attributes) if len(shape) == 3 else {}
        array = Array({"driver": "n5"}, name, axes, names, ratio, place, stored)
        packed = (attributes.get("compression") or {}).get("type") == "blosc"
        if not packed or self.store.is_remote:
            return array
        size = math.prod(block) * np.dtype(attributes["dataType"]).itemsize
        headers = BloscHeaders(self.store, size, header_size(len(shape)))
        return replace(array, check_object=headers.check)


def _is_dataset(attributes: Any) -> bool:
    return isinstance(attributes, dict) and {"dimensions", "blockSize", "dataType"} <= {*attributes}


def _item(values: Any, number: int) -> Any:
    return values[number] if isinstance(values, list) and number < len(values) else None


def _factor(values: Any) -> VoxelSize | None:
    """Return a factor (z, y, x) from one in the order x, y, z."""
    match values:
        case [int() | float() as x, int() | float() as y, int() | float() as z, *_]:
            return float(z), float(y), float(x)
    return None


def _own_size(attributes: Document, first: Array) -> VoxelSize | None:
    stated = stated_size(attributes, first.axes)
    return stated[0] if stated else None


def _place(attributes: Document) -> tuple[int, int, int]:
    """Return the voxel that contains the first voxel's centre, as COSEM states it."""
    match attributes.get("transform"):
        case {"axes": [*axes], "scale": [*scale], "translate": [*at]} if {*"zyx"} <= {*axes}:
            order = [axes.index(axis) for axis in "zyx"]
            return zyx(math.floor(at[axis] / scale[axis] + 1e-6) for axis in order)
    return 0, 0, 0
