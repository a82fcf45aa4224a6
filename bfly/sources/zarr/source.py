"""Zarr 2 and 3, also sharded: an array, or the pyramid of arrays that OME-Zarr describes.

The formats: https://zarr-specs.readthedocs.io and https://ngff.openmicroscopy.org.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.sources.kinds.stated import kind_of_attributes
from bfly.sources.shared.arrays import Array, grid_names
from bfly.sources.shared.axes import VolumeAxes, axes_of
from bfly.sources.shared.chunk_keys import grid_keys
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.shared.place import Position, whole_voxels
from bfly.sources.shared.probe import probe, probed
from bfly.sources.shared.tensorstore import TensorSource
from bfly.sources.shared.units import nanometres
from bfly.sources.shared.voxel_size import stated_place, stated_size
from bfly.sources.webknossos.array import dataset_of, described, names_in_dataset
from bfly.sources.webknossos.document import DOCUMENT
from bfly.sources.zarr.axes import names_in_array, names_in_ome, parts_of
from bfly.sources.zarr.blosc import checks_of
from bfly.sources.zarr.codecs import ways_of
from bfly.sources.zarr.separator import separator_of
from bfly.sources.zarr.shards import ZarrShards, check_shards, has_shards, is_sharded
from bfly.storage.files import Files
from bfly.storage.limits import LEVELS, check_number, sides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.storage.part import Part

__all__ = ["Zarr"]

Document = dict[str, Any]


class Zarr(TensorSource):
    """A zarr array, or a group with the ``multiscales`` of OME-Zarr 0.4 or 0.5.

    The axes are those named z, y and x, in any order. If the axes have no names, they are the
    last three, where axes of length 1 are skipped. Other axes, such as time and channels, select
    the volume.
    """

    name = "zarr"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = {"zip": "an archive of zarr"}
    marks = ("zarr.json", ".zarray", ".zgroup")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether there are metadata of an array, or of a group with ``multiscales``."""
        try:
            read = probe(path)
            return _array(read, "") is not None or bool(_multiscales(read))
        except Oversized:
            return True
        except (NotAllowed, SourceError):
            return False

    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        """Return the volumes along axes of channels and time; none for a column of a table."""
        read = cache(probed(path, files))
        multiscales = _multiscales(read)
        name = str(multiscales[0]["datasets"][0]["path"]) if multiscales else ""
        meta = _array(read, name)
        if meta is None:
            raise SourceError(f"{path} has no array {name}.")
        if multiscales:
            return parts_of(meta, names_in_ome(multiscales[0], len(meta["shape"])), path)
        return parts_of(meta, _names(meta, path, files), path)

    def _arrays(self) -> dict[str, Array]:
        multiscales = _multiscales(self.document)
        if not multiscales:
            return {"": self._alone()}
        first = multiscales[0]
        finest = _array(self.document, first["datasets"][0]["path"])
        names = names_in_ome(first, len(finest["shape"]) if finest else 0)
        common = _transform(first, len(names))
        # OME-Zarr before 0.4 states no scales.
        scaled = any(each.get("coordinateTransformations") for each in first["datasets"])
        check_number(self.path, len(first["datasets"]), LEVELS, "levels")
        sizes, places = [], []
        arrays: dict[str, Array] = {}
        for dataset in first["datasets"]:
            size, place = _transform(dataset, len(names))
            sizes.append([a * b for a, b in zip(size, common[0], strict=True)])
            places.append([a * b + c for a, b, c in zip(place, *common, strict=True)])
        for dataset, size, place in zip(first["datasets"], sizes, places, strict=True):
            meta = _array(self.document, dataset["path"])
            if meta is None:
                raise SourceError(f"{self.path} has no array {dataset['path']}.")
            if len(meta["shape"]) != len(names):
                raise SourceError(
                    f"{self.path}: the array {dataset['path']} has {len(meta['shape'])} axes, its "
                    f"group describes {len(names)}."
                )
            found = axes_of(names, meta["shape"], self.path, self.part)
            axes = found.zyx
            y, x = (size[axis] / sizes[0][axis] for axis in axes[-2:])
            z = size[axes[0]] / sizes[0][axes[0]] if len(axes) == 3 else 1.0
            voxels = [0.0, *(place[a] / size[a] for a in axes)][-3:]
            position = Position(voxels, "OME-Zarr translation", is_point=True)
            # A level that states no position of its own is where the finest, the first, is.
            corner: Zyx | None = None
            if not arrays:
                corner = whole_voxels(self.path, position)
            elif _is_placed(dataset):
                corner = position.voxel_at()
            ratio = (z, y, x) if scaled else None
            array = _described(meta, dataset["path"], found, self.store, ratio, corner)
            arrays[dataset["path"]] = array
            self._stated_kind = self._stated_kind or kind_of_attributes(meta["attributes"])
        self._state(first, sizes[0], next(iter(arrays.values())).axes)
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
        if self.store.folder is not None:
            for document in _documents_above(self.path):
                with suppress(NotAllowed):
                    self._watch(self.files.resolve(document))
        names = _names(meta, self.path, self.files)
        axes = axes_of(names, meta["shape"], self.path, self.part)
        size, kind = described(self.path, self.files)
        self._stated = stated_size(meta["attributes"], axes.zyx) or size
        self._stated_kind = kind_of_attributes(meta["attributes"]) or kind
        position = stated_place(meta["attributes"], axes.zyx, self.voxel_size)
        place = whole_voxels(self.path, position)
        return _described(meta, "", axes, self.store, None, place)


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


def _names(meta: Document, path: str, files: Files) -> Sequence[object]:
    """Return the names of the axes of an array: its own, or those that a folder above states.

    OME-Zarr has the names in the group of its arrays, of which a path may name one.
    """
    names, rank = names_in_array(meta), len(meta["shape"])
    if names or rank < 3:
        return names
    folder, name = os.path.split(path.rstrip("/"))
    with suppress(NotAllowed, SourceError):
        for multiscale in _multiscales(KeyValueStore(folder, files).json):
            if any(dataset.get("path") == name for dataset in multiscale["datasets"]):
                return names_in_ome(multiscale, rank)
    return names_in_dataset(path, files, rank) if rank > 3 else ()


def _documents_above(path: str) -> list[str]:
    """Return the documents that may name the axes of an array."""
    folder = os.path.dirname(path.rstrip("/"))
    return [f"{folder}/zarr.json", f"{folder}/.zattrs", f"{dataset_of(path)}/{DOCUMENT}"]


def _described(
    meta: Document,
    name: str,
    axes: VolumeAxes,
    store: KeyValueStore,
    ratio: Any = None,
    place: Zyx | None = None,
) -> Array:
    """Return the description of an array: TensorStore spec, object names and checks."""
    rank, path = len(meta["shape"]), store.path
    if meta["zarr_format"] == 2:
        chunk, prefix = sides(meta["chunks"], "chunks", path), ""
        separator = separator_of(meta, name, store)
        spec = {"driver": "zarr", "metadata": {"dimension_separator": separator}}
    else:
        chunk = sides(meta["chunk_grid"]["configuration"]["chunk_shape"], "chunk_shape", path)
        spec = {"driver": "zarr3"}
        check_shards(meta["codecs"], chunk, path)
        encoding = meta.get("chunk_key_encoding", {"name": "default"})
        is_default = encoding["name"] == "default"
        usual = "/" if is_default else "."
        separator = encoding.get("configuration", {}).get("separator", usual)
        prefix = f"c{separator}" if is_default else ""
    names = grid_names(name, axes, rank, chunk, separator, prefix)
    others = {chunk[axis] for axis in axes.at}
    in_order = list(axes.zyx) == sorted(axes.zyx) and others <= {1}
    shared = has_shards(meta.get("codecs"))
    keys = grid_keys(name, meta["shape"], chunk, separator, prefix)
    array = Array(spec, name, axes.zyx, names, ratio, place, in_shards=shared, keys=keys)
    array = replace(array, at=axes.at, **checks_of(meta, axes, names, store))
    if not in_order or not (ways := ways_of(meta)):
        return array
    if not is_sharded(meta):
        return replace(array, stored=ways)
    shards = ZarrShards.of(meta, axes)
    return replace(array, stored=ways, read=shards.read) if shards else array


def _is_placed(dataset: Document) -> bool:
    """Return whether a level of OME-Zarr states a translation."""
    steps = dataset.get("coordinateTransformations") or []
    return any(step["type"] == "translation" for step in steps)


def _transform(holder: Document, rank: int) -> tuple[list[float], list[float]]:
    """Return scale and translation, one value per axis, from a part of OME-Zarr."""
    scale, translation = [1.0] * rank, [0.0] * rank
    for step in holder.get("coordinateTransformations") or []:
        if step["type"] == "scale":
            scale = [float(value) for value in step["scale"]]
        elif step["type"] == "translation":
            translation = [float(value) for value in step["translation"]]
    return scale, translation
