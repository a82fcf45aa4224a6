"""Zarr 2 and 3, also sharded: an array, or the pyramid of arrays that OME-Zarr describes.

The formats: https://zarr-specs.readthedocs.io and https://ngff.openmicroscopy.org.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.errors import NotAllowed, Oversized, SourceError
from bfly.sources.kinds.stated import kind_of_attributes
from bfly.sources.shared.arrays import Array, grid_names
from bfly.sources.shared.axes import PARTS, VolumeAxes, axes_of
from bfly.sources.shared.chunk_keys import grid_keys
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.shared.place import Position, whole_voxels
from bfly.sources.shared.probe import probe, probed
from bfly.sources.shared.tensorstore import TensorSource
from bfly.sources.shared.voxel_size import stated_place, stated_size
from bfly.sources.webknossos.array import described
from bfly.sources.zarr.axes import documents_above, names_in_ome, names_of, parts_of
from bfly.sources.zarr.blosc import checks_of
from bfly.sources.zarr.codecs import ways_of
from bfly.sources.zarr.coordinates import Coordinates, coordinates_of
from bfly.sources.zarr.images import (
    Image,
    image_at,
    image_of_label,
    images_in,
    is_group_of_images,
    joined,
    ome_of,
)
from bfly.sources.zarr.metadata import cleaned
from bfly.sources.zarr.own import own_chunks
from bfly.sources.zarr.scene import doubts_of_scene
from bfly.sources.zarr.separator import separator_of
from bfly.sources.zarr.shards import ZarrShards, check_shards, has_shards, is_sharded
from bfly.storage.files import Files
from bfly.storage.limits import LEVELS, check_number, sides
from bfly.storage.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx

__all__ = ["Zarr"]

log = logging.getLogger(__name__)

Document = dict[str, Any]


class Zarr(TensorSource):
    """A zarr array, or a group of OME-Zarr with images, up to version 0.6.

    The axes are those named z, y and x, in any order. If the axes have no names, they are the
    last three, where axes of length 1 are skipped. Other axes, such as time and channels, select
    the volume.
    """

    name = "zarr"
    has_parts = True
    endings: ClassVar[Mapping[str, str]] = {
        "zip": "an archive of zarr",
        "ozx": "a zipped OME-Zarr",
    }
    marks = ("zarr.json", ".zarray", ".zgroup")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether there are metadata of an array, or of a group with images."""
        try:
            read = probe(path)
            return _array(read, "") is not None or is_group_of_images(read)
        except Oversized:
            return True
        except (NotAllowed, SourceError):
            return False

    @classmethod
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        """Return the volumes: of each image along its axes of channels and time, and its labels.

        There is none for a column of a table.
        """
        read = cache(probed(path, files))
        if not is_group_of_images(read):
            meta = _array(read, "")
            if meta is None:
                raise SourceError(f"{path} has neither an array nor images of OME-Zarr.")
            return parts_of(meta, names_of(meta, path, files), path)
        parts: list[Part] = []
        for image in images_in(read, path):
            if len(parts) >= PARTS:
                log.warning(
                    "%s holds more than the %d volumes that are listed; the configuration can name "
                    "each: path: %s#%s.",
                    *(path, PARTS, path, image.name),
                )
                break
            try:
                parts += _parts_of_image(read, image, path)
            except (SourceError, LookupError, TypeError, ValueError):
                parts.append(Part(image.name))  # opening it reports the reason
        return parts

    def _arrays(self) -> dict[str, Array]:
        read = cache(self.document)
        image = image_at(read, self.part.dataset, self.path)
        if image is None:
            return {"": self._alone()}
        self._dataset = image.group
        above = image_of_label(read, image.group)
        datasets = image.multiscale["datasets"]
        check_number(self.path, len(datasets), LEVELS, "levels")
        arrays: dict[str, Array] = {}
        finest: Coordinates | None = None
        for dataset in datasets:
            name = joined(image.group, dataset["path"])
            meta = _array(read, name)
            if meta is None:
                raise SourceError(f"{self.path} has no array {name}.")
            rank = len(meta["shape"])
            at = coordinates_of(image.multiscale, dataset, rank, above)
            names = names_in_ome(at.axes, rank)
            if len(names) != rank:
                raise SourceError(
                    f"{self.path}: the array {name} has {rank} axes, its group describes "
                    f"{len(names)}."
                )
            found = axes_of(names, meta["shape"], self.path, Part("", self.part.indexes))
            axes, first = found.zyx, finest or at
            y, x = (at.scale[axis] / first.scale[axis] for axis in axes[-2:])
            z = at.scale[axes[0]] / first.scale[axes[0]] if len(axes) == 3 else 1.0
            voxels = [0.0, *(at.offset[a] / at.scale[a] for a in axes)][-3:]
            position = Position(voxels, "OME-Zarr translation", is_point=True)
            # A level that states no position of its own is where the finest, the first, is.
            corner: Zyx | None = None
            if finest is None:
                corner = whole_voxels(self.path, position)
                self._state(read, image, at, axes)
            elif at.is_placed:
                corner = position.voxel_at()
            finest = first
            ratio = (z, y, x) if at.has_ratio else None
            arrays[name] = _described(meta, name, found, self.store, ratio, corner)
            self._stated_kind = self._stated_kind or kind_of_attributes(meta["attributes"])
        return arrays

    def _state(self, read: Any, image: Image, at: Coordinates, axes: tuple[int, ...]) -> None:
        """Set the voxel size from OME-Zarr, if it has units, and the kind; log doubts."""
        if size := at.voxel_size(axes):
            self._stated = size, "OME-Zarr axes and scale"
        for doubt in (*at.doubts, *doubts_of_scene(self.path, self.files, image.multiscale)):
            log.warning("%s: %s.", self.path, doubt)
        ome = ome_of(read, image.group)
        if "image-label" in ome:
            self._stated_kind = "segmentation", "OME-Zarr image-label"
        elif image_of_label(read, image.group):
            self._stated_kind = "segmentation", "OME-Zarr labels"
        elif "omero" in ome:
            self._stated_kind = "image", "OME-Zarr omero"

    def _alone(self) -> Array:
        meta = _array(self.document, "")
        if meta is None:
            raise SourceError(f"{self.path} has neither an array nor images of OME-Zarr.")
        if self.store.folder is not None:
            for document in documents_above(self.path):
                with suppress(NotAllowed):
                    self._watch(self.files.resolve(document))
        names = names_of(meta, self.path, self.files)
        axes = axes_of(names, meta["shape"], self.path, self.part)
        size, kind = described(self.path, self.files)
        self._stated = stated_size(meta["attributes"], axes.zyx) or size
        self._stated_kind = kind_of_attributes(meta["attributes"]) or kind
        position = stated_place(meta["attributes"], axes.zyx, self.voxel_size)
        place = whole_voxels(self.path, position)
        return _described(meta, "", axes, self.store, None, place)


def _parts_of_image(read: Any, image: Image, path: str) -> Sequence[Part]:
    """Return the volumes of an image along its axes of channels and time."""
    finest = image.multiscale["datasets"][0]
    name = joined(image.group, finest["path"])
    meta = _array(read, name)
    if meta is None:
        raise SourceError(f"{path} has no array {name}.")
    rank = len(meta["shape"])
    names = names_in_ome(coordinates_of(image.multiscale, finest, rank).axes, rank)
    return parts_of(meta, names, path, image.name)


def _array(read: Any, name: str) -> Document | None:
    """Return the metadata of an array, including its attributes; None if there is none."""
    below = f"{name}/" if name else ""
    meta: Document | None = read(f"{below}zarr.json")
    if meta is not None:
        is_array = meta.get("node_type") == "array" and "shape" in meta
        return {**meta, "attributes": meta.get("attributes") or {}} if is_array else None
    meta = read(f"{below}.zarray")
    if meta is None or "shape" not in meta:
        return None
    return {**meta, "attributes": read(f"{below}.zattrs") or {}}


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
    meta = cleaned(meta, path)
    document, below = {**meta}, f"{name}/" if name else ""
    found = own_chunks(meta, axes, path, store.files.max_chunk)
    if found is not None:
        document, own = found
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
    stated = f"{below}{'.zarray' if meta['zarr_format'] == 2 else 'zarr.json'}", document
    array = replace(array, at=axes.at, document=stated)
    if found is not None:
        return replace(array, own=own)
    array = replace(array, **checks_of(meta, axes, names, store))
    if not in_order or not (ways := ways_of(meta)):
        return array
    if not is_sharded(meta):
        return replace(array, stored=ways)
    shards = ZarrShards.of(meta, axes)
    return replace(array, stored=ways, read=shards.read) if shards else array
