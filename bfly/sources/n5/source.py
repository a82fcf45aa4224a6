"""N5: a dataset, or a group of scales ``s0``, ``s1``, … in any of the usual dialects.

The format: https://github.com/saalfeldlab/n5. Its axis order is x, y, z. n5-viewer, BigDataViewer,
Paintera and COSEM describe scales by different attributes.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.sources.kinds.stated import kind_of_attributes
from bfly.sources.n5.axes import names_of
from bfly.sources.n5.blocks import header_size, ways_of
from bfly.sources.n5.metadata import cleaned
from bfly.sources.n5.own import VARLENGTH, own_chunks
from bfly.sources.n5.paintera import check_multiset, is_helper, merge_tables
from bfly.sources.shared.arrays import Array, grid_names
from bfly.sources.shared.axes import axes_of, parts_along
from bfly.sources.shared.bdv import size_in_xml
from bfly.sources.shared.blosc_headers import BloscHeaders
from bfly.sources.shared.chunk_keys import grid_keys
from bfly.sources.shared.place import whole_voxels
from bfly.sources.shared.probe import probe, probed
from bfly.sources.shared.tensorstore import TensorSource
from bfly.sources.shared.voxel_size import stated_place, stated_size
from bfly.storage.files import Files
from bfly.storage.limits import LEVELS, sides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.mips import VoxelSize
    from bfly.storage.part import Part

__all__ = ["N5"]

Document = dict[str, Any]

DOCUMENT = "attributes.json"

BDV = re.compile(r"(?P<container>.+)/setup(?P<setup>[0-9]{1,9})/timepoint[0-9]{1,9}/?")
"""Groups of BigDataViewer. Their ``resolution`` has no unit; it is micrometres as a rule."""


class N5(TensorSource):
    """An N5 dataset, or a group with the datasets ``s0``, ``s1``, ….

    Axes without names are x, y and z; those of length 1 are skipped where there are more than
    three. Axes of channels and time select the volume. The factor of a scale is from
    ``downsamplingFactors`` of the scale or the group, or the group's ``scales``. Otherwise it is
    computed from stated voxel sizes, or else from the shapes.
    """

    name = "n5"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = {"zip": "an archive of N5"}
    marks = (DOCUMENT, "s0")

    _group: Document

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether ``attributes.json`` is that of a dataset, here or in ``s0``."""
        try:
            read = probe(path)
            return any(_is_dataset(read(name)) for name in (DOCUMENT, f"s0/{DOCUMENT}"))
        except Oversized:
            return True
        except (NotAllowed, SourceError):
            return False

    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        """Return the volumes along axes of channels and time; none for a list of numbers."""
        if is_helper(path, files, DOCUMENT):
            return ()
        read = probed(path, files)
        group = read(DOCUMENT) or {}
        attributes = group if _is_dataset(group) else read(f"s0/{DOCUMENT}") or {}
        shape = attributes["dimensions"]
        if len(shape) < 2:
            return ()
        names = names_of({**group, **attributes})
        return parts_along(axes_of(names, shape, path, x_first=True).lengths, path)

    @classmethod
    def merge_tables(cls, path: str, files: Files) -> Sequence[str]:
        """Return Paintera's list of merges beside labels."""
        return merge_tables(path, files, DOCUMENT)

    def _arrays(self) -> dict[str, Array]:
        group = self._group = self.document(DOCUMENT) or {}
        check_multiset(self.path, {**(self.document(f"s0/{DOCUMENT}") or {}), **group})
        self._stated_kind = kind_of_attributes(group)
        if _is_dataset(group):
            return {"": self._placed(self._array("", group, None), group)}
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
            array = self._array(name, attributes, None)
            ratio = _factor(attributes.get("downsamplingFactors"), array.axes)
            ratio = ratio or _factor(_item(group.get("downsamplingFactors"), number), array.axes)
            ratio = ratio or _factor(_item(group.get("scales"), number), array.axes)
            arrays[name] = replace(array, ratio=ratio)
        first = arrays["s0"]
        described = _describing(group)
        bdv = BDV.fullmatch(self.path)
        if bdv and not {"unit", "units"} & described.keys():
            found = size_in_xml(bdv["container"], int(bdv["setup"]), self.files, self._watch)
            self._stated = self._stated or found
            described.pop("resolution", None)
        self._stated = self._stated or stated_size(described, first.axes)
        self._stated_kind = self._stated_kind or kind_of_attributes(scales["s0"])
        for name, attributes in scales.items():
            own, finest = _own_size(attributes, first), _own_size(scales["s0"], first)
            if arrays[name].ratio is None and own and finest and name != "s0":
                z, y, x = (a / b for a, b in zip(own, finest, strict=True))
                if max(z, y, x) > 1:
                    arrays[name] = self._array(name, attributes, (z, y, x))
        arrays["s0"] = self._placed(arrays["s0"], scales["s0"], described)
        return arrays

    def _placed(self, array: Array, *attributes: Document) -> Array:
        """Return the finest array at the position that the first of the attributes states."""
        size = self.voxel_size
        positions = (stated_place(each, array.axes, size) for each in attributes)
        position = next(filter(None, positions), None)
        return replace(array, place=whole_voxels(self.path, position))

    def _array(self, name: str, attributes: Document, ratio: VoxelSize | None) -> Array:
        shape, stated = tuple(attributes["dimensions"]), cleaned(attributes, self.path)
        # Scales without names of axes have those of their group.
        names = names_of({**self._group, **attributes})
        found = axes_of(names, shape, self.path, self.part, x_first=True)
        axes = found.zyx
        if name in ("", "s0"):
            self._stated = stated_size(attributes, axes)
        block = sides(attributes["blockSize"], "blockSize", self.path)
        objects = grid_names(name, found, len(shape), block, "/")
        place = _place(attributes, axes)
        stored = ways_of(stated) if len(shape) == 3 and axes == (2, 1, 0) else {}
        keys = grid_keys(name, shape, block, "/")
        plain, own = own_chunks(stated)
        array = Array(
            *({"driver": "n5"}, name, axes, objects, ratio, place, stored),
            at=found.at,
            document=(f"{name}/{DOCUMENT}".lstrip("/"), plain),
            own=own,
            keys=keys,
        )
        if stated["compression"]["type"] != "blosc" or self.store.is_remote:
            return array
        size = math.prod(block) * np.dtype(attributes["dataType"]).itemsize
        headers = BloscHeaders(self.store, size, header_size(len(shape)))

        def check(name: str) -> None:
            # TensorStore decompresses no block that states its number of elements.
            if self.store.part(name, 0, 2) != VARLENGTH.to_bytes(2):
                headers.check(name)

        return replace(array, check_object=check)


def _is_dataset(attributes: Any) -> bool:
    return isinstance(attributes, dict) and {"dimensions", "blockSize", "dataType"} <= {*attributes}


def _item(values: Any, number: int) -> Any:
    return values[number] if isinstance(values, list) and number < len(values) else None


def _factor(values: Any, axes: tuple[int, ...]) -> VoxelSize | None:
    """Return a factor (z, y, x) from one for each axis, or for x, y and z in their order."""
    if not isinstance(values, list) or not all(isinstance(by, int | float) for by in values):
        return None
    if len(values) == 3:
        axes = tuple(sorted(axes).index(axis) for axis in axes)
    if len(values) <= max(axes):
        return None
    z, y, x = [1.0, *(float(values[axis]) for axis in axes)][-3:]
    return z, y, x


def _own_size(attributes: Document, first: Array) -> VoxelSize | None:
    stated = stated_size(attributes, first.axes)
    return stated[0] if stated else None


def _describing(group: Document) -> Document:
    """Return what describes ``s0`` in its group: its entry of COSEM's multiscales, or the group."""
    for multiscale in group.get("multiscales") or []:
        for dataset in multiscale.get("datasets") or []:
            if dataset.get("path") == "s0":
                found: Document = dataset
                return found
    return group


def _place(attributes: Document, axes: tuple[int, ...]) -> Zyx | None:
    position = stated_place(attributes, axes)
    return position and position.voxel_at()
