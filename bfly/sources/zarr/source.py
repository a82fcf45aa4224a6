"""Zarr 2 and 3, also sharded: an array, or the pyramid of arrays that OME-Zarr describes.

The formats: https://zarr-specs.readthedocs.io and https://ngff.openmicroscopy.org.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.geometry import zyx
from bfly.sources.kinds.stated import kind_of_attributes
from bfly.sources.shared.arrays import Array, grid_names
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.shared.single_file import singletons
from bfly.sources.shared.tensorstore import TensorSource
from bfly.sources.shared.units import nanometres
from bfly.sources.shared.voxel_size import stated_size
from bfly.sources.zarr.blosc import checks_of
from bfly.sources.zarr.codecs import ways_of
from bfly.sources.zarr.shards import ZarrShards, check_shards, has_shards, is_sharded
from bfly.storage.files import Files
from bfly.storage.limits import LEVELS, check_number, sides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.geometry import Zyx

__all__ = ["Zarr"]

Document = dict[str, Any]


class Zarr(TensorSource):
    """A zarr array, or a group with the ``multiscales`` of OME-Zarr 0.4 or 0.5.

    The axes are those named z, y and x, in any order. If the axes have no names, they are the
    last three, where axes of length 1 are skipped. Other axes, such as time and channels, must
    have length 1.
    """

    name = "zarr"
    endings: ClassVar[Mapping[str, str]] = {"zip": "an archive of zarr"}
    marks = ("zarr.json", ".zarray", ".zgroup")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether there are metadata of an array, or of a group with ``multiscales``."""
        try:
            store = KeyValueStore(path, Files([path]))
            return _array(store.json, "") is not None or bool(_multiscales(store.json))
        except Oversized:
            return True
        except (NotAllowed, SourceError):
            return False

    def _arrays(self) -> dict[str, Array]:
        multiscales = _multiscales(self.document)
        if not multiscales:
            return {"": self._alone()}
        first = multiscales[0]
        names = [_axis_name(axis) for axis in first.get("axes") or "tczyx"]
        common = _transform(first, len(names))
        check_number(self.path, len(first["datasets"]), LEVELS, "levels")
        sizes, places, arrays = [], [], {}
        for dataset in first["datasets"]:
            size, place = _transform(dataset, len(names))
            sizes.append([a * b for a, b in zip(size, common[0], strict=True)])
            places.append([a * b + c for a, b, c in zip(place, *common, strict=True)])
        for dataset, size, place in zip(first["datasets"], sizes, places, strict=True):
            meta = _array(self.document, dataset["path"])
            if meta is None:
                raise SourceError(f"{self.path} has no array {dataset['path']}.")
            axes = _axes(names[-len(meta["shape"]) :], tuple(meta["shape"]), self.path)
            y, x = (size[axis] / sizes[0][axis] for axis in axes[-2:])
            z = size[axes[0]] / sizes[0][axes[0]] if len(axes) == 3 else 1.0
            # The voxel that contains the first voxel's stated centre. This also suits writers that
            # state its corner, or no translation.
            corner = zyx([0, *(math.floor(place[a] / size[a] + 1e-6) for a in axes)][-3:])
            array = _described(meta, dataset["path"], axes, self.store, (z, y, x), corner)
            arrays[dataset["path"]] = array
            self._stated_kind = self._stated_kind or kind_of_attributes(meta["attributes"])
        axes = next(iter(arrays.values())).axes
        self._state(first, sizes[0], axes)
        return arrays

    def _state(self, multiscale: Document, size: list[float], axes: tuple[int, ...]) -> None:
        """Set the voxel size from OME-Zarr, if it has units, and the kind of label images."""
        described = multiscale.get("axes") or []
        units = [axis.get("unit") if isinstance(axis, dict) else None for axis in described]
        if (
            units
            and len(axes) == 3
            and all(units[axis] and nanometres(units[axis]) for axis in axes)
        ):
            z, y, x = (size[axis] * (nanometres(units[axis]) or 1) for axis in axes)
            self._stated = (z, y, x), "OME-Zarr axes and scale"
        ome = _ome(self.document)
        if "image-label" in ome:
            self._stated_kind = "segmentation", "OME-Zarr image-label"
        elif "omero" in ome:
            self._stated_kind = "image", "OME-Zarr omero"

    def _alone(self) -> Array:
        meta = _array(self.document, "")
        if meta is None:
            raise SourceError(f"{self.path} has neither an array nor multiscales of OME-Zarr.")
        names = meta.get("dimension_names") or meta["attributes"].get("_ARRAY_DIMENSIONS")
        axes = _axes(names, tuple(meta["shape"]), self.path)
        self._stated = stated_size(meta["attributes"], axes)
        self._stated_kind = kind_of_attributes(meta["attributes"])
        return _described(meta, "", axes, self.store)


def _multiscales(read: Any) -> list[Document]:
    """Return the ``multiscales`` of a group; empty if there are none."""
    match _ome(read).get("multiscales"):
        case [{"datasets": [_, *_]}, *_] as multiscales:
            return list(multiscales)
    return []


def _ome(read: Any) -> Document:
    """Return the attributes of a group that OME-Zarr defines."""
    group = read("zarr.json")
    if group is not None:
        attributes = group.get("attributes")
        ome = attributes.get("ome") if isinstance(attributes, dict) else None
        return ome if isinstance(ome, dict) else {}
    return (read(".zattrs") or {}) if read(".zgroup") is not None else {}


def _array(read: Any, name: str) -> Document | None:
    """Return the metadata of an array, including its attributes; None if there is none."""
    below = f"{name}/" if name else ""
    meta: Document | None = read(f"{below}zarr.json")
    if meta is not None:
        is_array = meta.get("node_type") == "array" and "shape" in meta
        return {"attributes": {}, **meta} if is_array else None
    meta = read(f"{below}.zarray")
    if meta is None or "shape" not in meta:
        return None
    return {**meta, "attributes": read(f"{below}.zattrs") or {}}


def _described(
    meta: Document,
    name: str,
    axes: tuple[int, ...],
    store: KeyValueStore,
    ratio: Any = None,
    place: Zyx = (0, 0, 0),
) -> Array:
    """Return the description of an array: TensorStore spec, object names and checks."""
    rank, path = len(meta["shape"]), store.path
    if meta["zarr_format"] == 2:
        driver, chunk, prefix = "zarr", sides(meta["chunks"], "chunks", path), ""
        separator = meta.get("dimension_separator", ".")
    else:
        chunk = sides(meta["chunk_grid"]["configuration"]["chunk_shape"], "chunk_shape", path)
        driver = "zarr3"
        check_shards(meta["codecs"], chunk, path)
        encoding = meta.get("chunk_key_encoding", {"name": "default"})
        is_default = encoding["name"] == "default"
        usual = "/" if is_default else "."
        separator = encoding.get("configuration", {}).get("separator", usual)
        prefix = f"c{separator}" if is_default else ""
    names = grid_names(name, axes, rank, chunk, separator, prefix)
    others = [chunk[axis] for axis in range(rank) if axis not in axes]
    in_order = list(axes) == sorted(axes) and set(others) <= {1}
    shared = has_shards(meta.get("codecs"))
    array = Array({"driver": driver}, name, axes, names, ratio, place, in_shards=shared)
    array = replace(array, **checks_of(meta, axes, names, store))
    if not in_order or not (ways := ways_of(meta)):
        return array
    if not is_sharded(meta):
        return replace(array, stored=ways)
    shards = ZarrShards.of(meta, axes)
    return replace(array, stored=ways, read=shards.read) if shards else array


def _axis_name(axis: Any) -> str:
    """Return the name of an axis; before OME-Zarr 0.4 an axis was a plain string."""
    return str(axis["name"] if isinstance(axis, dict) else axis)


def _axes(names: Any, shape: tuple[int, ...], path: str) -> tuple[int, ...]:
    """Return which axes are z, y and x, or y and x."""
    if len(shape) == 2:
        return 0, 1
    lower = [str(name).lower() for name in names or ()]
    if len(lower) == len(shape) and {*"zyx"} <= {*lower}:
        return zyx(lower.index(axis) for axis in "zyx")
    return singletons(shape, path)


def _transform(holder: Document, rank: int) -> tuple[list[float], list[float]]:
    """Return scale and translation, one value per axis, from a part of OME-Zarr."""
    scale, translation = [1.0] * rank, [0.0] * rank
    for step in holder.get("coordinateTransformations") or []:
        if step["type"] == "scale":
            scale = [float(value) for value in step["scale"]]
        elif step["type"] == "translation":
            translation = [float(value) for value in step["translation"]]
    return scale, translation
