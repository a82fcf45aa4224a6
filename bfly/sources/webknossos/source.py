"""Datasets of webKnossos: a folder with ``datasource-properties.json``, a channel for each layer.

The mags of a layer are one pyramid, whatever the format of their arrays.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.errors import ButterflyError, NotAllowed, SourceError
from bfly.sources.n5.source import N5
from bfly.sources.precomputed.source import Precomputed
from bfly.sources.shared.axes import parts_along
from bfly.sources.shared.net import parts_of
from bfly.sources.webknossos.array import dataset_at, paths_of
from bfly.sources.webknossos.document import DOCUMENT
from bfly.sources.webknossos.layer import Found, LayerSource
from bfly.sources.webknossos.level import ArrayLevel
from bfly.sources.wkw.mag import WkwMag
from bfly.sources.wkw.source import channel_of, channels_of
from bfly.sources.zarr.source import Zarr
from bfly.storage.files import Files, is_url
from bfly.storage.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.sources.source import Datasource
    from bfly.sources.webknossos.document import Dataset, Layer, Mag
    from bfly.sources.webknossos.level import Level

__all__ = ["WebKnossos"]

log = logging.getLogger(__name__)

PRECOMPUTED = "neuroglancerPrecomputed"

ARRAYS: Mapping[str, type[Datasource]] = {"zarr": Zarr, "zarr3": Zarr, "n5": N5}
"""Sources of arrays by ``dataFormat``."""

FORMATS = ("wkw", *ARRAYS, PRECOMPUTED)
"""Values of ``dataFormat``."""


class WebKnossos(LayerSource):
    """A layer of a dataset, ``DATASET#LAYER``; by default, the first one.

    The document has the place, kind and voxel size of a layer, and where its mags are. Voxels of
    an array count from the first voxel of the dataset; those of precomputed, from its
    ``voxel_offset``.
    """

    name = "webknossos"
    marks: ClassVar[tuple[str, ...] | None] = (DOCUMENT,)

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether there is a document with ``dataLayers``."""
        try:
            dataset = dataset_at(path, Files([path]))
        except NotAllowed:
            return False
        except SourceError:
            return not is_url(path) and os.path.exists(f"{path}/{DOCUMENT}")
        return dataset is not None and bool(dataset.layers)

    @classmethod
    @override
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        dataset = _dataset(path, files)
        return [part for layer in dataset.layers for part in _parts(dataset, layer, files)]

    @override
    def _found(self) -> Found:
        if not is_url(self.path):
            self._watch(f"{self.path}/{DOCUMENT}")
        dataset = _dataset(self.path, self.files)
        layer = _layer(dataset, self.part)
        levels = {}
        for mag in layer.mags:
            name = "-".join(map(str, mag.steps[::-1]))
            path = _path(dataset, layer, mag, self.files)
            if path is not None:
                levels[name] = mag.steps, self._level(layer, path)
            elif not levels:
                raise SourceError(
                    f"{self._name}: its finest mag, {name}, is missing; it should be at "
                    f"{paths_of(dataset.path, layer.name, mag)[0]}."
                )
            else:
                log.warning("%s: its mag %s is missing; it is computed instead.", self._name, name)
        first = next(iter(levels.values()))[0]
        return Found(levels, layer.box, dataset.size_at(first), layer.kind, layer.element)

    def _level(self, layer: Layer, path: str) -> Level:
        """Open the array of a mag."""
        if layer.format == "wkw":
            channel = channel_of(self.part, path, self.files)
            return WkwMag(path, self.files, self._state_of, channel)
        part = Part("", self.part.indexes)
        if layer.format != PRECOMPUTED:
            return ArrayLevel(ARRAYS[layer.format].open(path, files=self.files, part=part))
        folder, key = os.path.split(path)
        volume = Precomputed.open(folder, files=self.files, part=part)
        for mip, name in volume.level_names.items():
            if name == key:
                return ArrayLevel(volume, mip, volume.scales[mip].origin)
        raise SourceError(
            f"{self._name}: {folder} has no scale {key}; it has {[*volume.level_names.values()]}."
        )


def _dataset(path: str, files: Files) -> Dataset:
    """Return the dataset in a folder; raise `SourceError` if it has no layers."""
    dataset = dataset_at(path, files)
    if dataset is None or not dataset.layers:
        raise SourceError(f"{path} has no {DOCUMENT} with layers.")
    return dataset


def _layer(dataset: Dataset, part: Part) -> Layer:
    """Return the layer of a part, the first one by default, if its format is known."""
    layers = {layer.name: layer for layer in reversed(dataset.layers)}
    layer = layers.get(part.dataset) if part.dataset else dataset.layers[0]
    if layer is None:
        named = ", ".join(reversed(layers))
        raise SourceError(f"{dataset.path} has no layer {part.dataset}; it has {named}.")
    where = f"{dataset.path}: the layer {layer.name}"
    if layer.format not in FORMATS:
        known = ", ".join(FORMATS)
        raise SourceError(f"{where} has the dataFormat {layer.format}; allowed are {known}.")
    if not layer.mags:
        raise SourceError(f"{where} states no mags.")
    return layer


def _parts(dataset: Dataset, layer: Layer, files: Files) -> Sequence[Part]:
    """Return the channels and times of a layer; the layer alone if they cannot be determined."""
    alone = Part(layer.name)
    try:
        path = _path(dataset, _layer(dataset, alone), layer.mags[0], files)
        if path is None:
            return (alone,)
        if layer.format == "wkw":
            inner = parts_along({"c": channels_of(path, files)}, path)
        elif layer.format == PRECOMPUTED:
            inner = [*Precomputed.parts(os.path.dirname(path), files)]
        else:
            inner = [*parts_of(ARRAYS[layer.format], path, files)]
    except ButterflyError:
        # Opening the channel reports the reason.
        return (alone,)
    return [Part(layer.name, part.indexes) for part in inner or (alone,)]


def _path(dataset: Dataset, layer: Layer, mag: Mag, files: Files) -> str | None:
    """Return where the array of a mag is; None if there is none."""
    for path in paths_of(dataset.path, layer.name, mag):
        real = files.resolve(path)
        if is_url(real):
            if layer.format == "wkw":
                raise SourceError(f"{path} is WKW behind a URL; it has to be in a local folder.")
            return path
        at_info = f"{os.path.dirname(real)}/info" if layer.format == PRECOMPUTED else real
        if os.path.exists(at_info):
            return path
    return None
