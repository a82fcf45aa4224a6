"""WKW: a layer of webKnossos, or one mag of it, in files of Morton-ordered blocks.

The format: the README of https://github.com/scalableminds/webknossos-wrap.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.errors import SourceError
from bfly.sources.shared.axes import parts_along
from bfly.sources.shared.sample import first_names
from bfly.sources.webknossos.array import dataset_of, found, paths_of
from bfly.sources.webknossos.document import DOCUMENT, KINDS, steps_of
from bfly.sources.webknossos.layer import Found, LayerSource
from bfly.sources.wkw.header import LENGTH, parsed
from bfly.sources.wkw.mag import HEADER, WkwMag
from bfly.storage.files import regular
from bfly.storage.limits import METADATA
from bfly.storage.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.webknossos.document import Dataset, Layer
    from bfly.storage.files import Files

__all__ = ["Wkw", "channel_of", "channels_of"]

MAGS = [1 << mip for mip in range(6)]

MARKS = tuple(
    name
    for mag in MAGS
    for z in {1, mag // 2 or 1, mag}
    for name in (str(mag), f"mag{mag}", f"{mag}-{mag}-{z}")
)
"""Names of mags, one of which a layer has: those of webKnossos, and of older datasets."""


class Wkw(LayerSource):
    """A folder with ``header.wkw``, or a layer: a folder with such folders, ``1``, ``2-2-1``, ….

    A layer or mag that ``datasource-properties.json`` describes, two folders above the mag, has its
    place, size, kind and voxel size. Otherwise the names of files say where the layer is, in whole
    files. Values of a voxel are channels.
    """

    name = "wkw"
    marks: ClassVar[tuple[str, ...] | None] = (HEADER, *MARKS)

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether there is a ``header.wkw``, in the folder or in that of a mag."""
        if _is_header(f"{path}/{HEADER}"):
            return True
        mags = first_names(path) & {*MARKS}
        return any(_is_header(f"{path}/{mag}/{HEADER}") for mag in mags)

    @classmethod
    @override
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        return parts_along({"c": channels_of(_mags(path)[0][0], files)}, path)

    @override
    def _found(self) -> Found:
        mags = _mags(self.path)
        self._watch(os.path.join(dataset_of(mags[0][0]), DOCUMENT))
        first = found(mags[0][0], self.files)
        if self.part.dataset:
            raise SourceError(f"{self.path} has no part {self.part}: it is one layer.")
        channel = channel_of(self.part, mags[0][0], self.files)
        stated = _stated(first[0], first[1]) if first else {}
        levels = {
            os.path.basename(folder): (
                stated.get(folder, steps),
                WkwMag(folder, self.files, self._state_of, channel),
            )
            for folder, steps in mags
        }
        if first is not None:
            dataset, layer, mag = first
            return Found(levels, layer.box, dataset.size_at(mag.steps), layer.kind, layer.element)
        name = os.path.basename(os.path.dirname(mags[0][0]))
        kind = KINDS.get(name)
        return Found(levels, None, None, (kind, f"layer {name}") if kind else None)


def _stated(dataset: Dataset, layer: Layer) -> Mapping[str, Zyx]:
    """Return the voxels of mag 1 per voxel of each mag that a dataset describes, by its folder."""
    return {
        folder: mag.steps
        for mag in layer.mags
        for folder in paths_of(dataset.path, layer.name, mag)
    }


def channels_of(mag: str, files: Files) -> int:
    """Return the number of values of a voxel.

    Raises
    ------
    SourceError, NotAllowed
        The header of the mag cannot be used.
    """
    path = f"{mag}/{HEADER}"
    try:
        return parsed(files.read_bytes(path, METADATA), path, files.max_chunk).channels
    except FileNotFoundError:
        raise SourceError(f"{mag} has no {HEADER}.") from None


def channel_of(part: Part, mag: str, files: Files) -> int:
    """Return the index of the value of each voxel that a part names.

    Raises
    ------
    SourceError, NotAllowed
        As `channels_of`; or there is no such value, or the part names another axis.
    """
    for axis, place in part.indexes:
        if axis != "c":
            raise SourceError(f"{mag} has no axis {axis} for {axis}={place}; it has c.")
    return part.index("c", channels_of(mag, files), mag)


def _mags(path: str) -> list[tuple[str, Zyx]]:
    """Return the folders of mags in a layer, and their voxels of mag 1 (z, y, x), finest first."""
    path = path.rstrip("/")
    if os.path.exists(f"{path}/{HEADER}"):
        try:
            return [(path, steps_of(os.path.basename(path), path))]
        except SourceError:
            return [(path, (1, 1, 1))]
    mags = [(os.path.dirname(file), _steps(file)) for file in _headers(path)]
    listed = [(folder, steps) for folder, steps in mags if steps]
    if not listed:
        raise SourceError(f"{path} has no {HEADER}, and no folders of mags, such as 1, with one.")
    return sorted(listed, key=lambda mag: mag[1][::-1])


def _steps(header: str) -> Zyx | None:
    """Return the voxels of mag 1 per voxel of the mag with a header; None if no name says it."""
    try:
        return steps_of(os.path.basename(os.path.dirname(header)), header)
    except SourceError:
        return None


def _headers(path: str) -> list[str]:
    """Return the headers in the folders of mags below a folder."""
    try:
        with os.scandir(path) as listing:
            names = [entry.name for entry in listing if entry.name[-1:].isdecimal()]
    except OSError:
        return []
    files = (f"{path}/{name}/{HEADER}" for name in names if _steps(f"/{name}/{HEADER}"))
    return sorted(file for file in files if os.path.exists(file))


def _is_header(path: str) -> bool:
    try:
        with regular(path) as file:
            return file.read(LENGTH)[:3] == b"WKW"
    except (OSError, ValueError):
        return False
