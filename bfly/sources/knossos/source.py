"""KNOSSOS: a file for each cube, ``magN/x0000/y0000/z0000/NAME_magN_x0000_y0000_z0000.raw``."""

from __future__ import annotations

import logging
import math
import os
import re
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from bfly.errors import SourceChanged, SourceError
from bfly.geometry import BoundingBox, ceil_div, indexes, zyx
from bfly.sources.knossos.cubes import FLAT, IMAGES, check_known, decoded, is_overlay, read_flat
from bfly.sources.knossos.description import ENDINGS
from bfly.sources.knossos.volumes import (
    CONF,
    descriptions,
    has_cubes,
    is_description,
    mags_of,
    volumes_in,
)
from bfly.sources.mips import StoredLevel, ladder
from bfly.sources.shared.chunk_check import has_chunks
from bfly.sources.shared.chunk_keys import ChunkKeys, is_lasting
from bfly.sources.shared.contiguous import Flat
from bfly.sources.shared.images import header
from bfly.sources.shared.sample import sample_below
from bfly.sources.shared.tile_files import TileGrid
from bfly.sources.shared.written_levels import written_levels
from bfly.sources.source import served_dtype
from bfly.storage.files import is_url, stamp_of
from bfly.storage.limits import check_chunk
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import StoredAs
    from bfly.sources.knossos.volumes import Volume
    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Knossos"]

log = logging.getLogger(__name__)

CUBE = re.compile(r"x(\d{1,9})/y(\d{1,9})/z(\d{1,9})/[^/]*_z\d{1,9}(\.[^/]*)")
"""Path of a cube below the folder of its mag."""


class Knossos(TileGrid):
    """A dataset with ``.k.toml``, ``.pyk.conf`` or ``knossos.conf``, or such a file.

    Each layer is a volume, ``PATH#NAME``; cubes of labels beside those of an image are one of
    their own, ``PATH#NAME-overlay``. A missing cube is blank.
    """

    name = "knossos"
    has_parts = True
    in_one_thread = True
    marks: ClassVar[tuple[str, ...] | None] = (CONF, *(f"mag{1 << mip}" for mip in range(5)))
    endings: ClassVar[Mapping[str, str]] = ENDINGS

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        """Return whether a file says what datasets of KNOSSOS say, or a folder has cubes."""
        return has_cubes(path) if os.path.isdir(path) else is_description(path)

    @classmethod
    @override
    def parts(cls, path: str, files: Files) -> Sequence[Part]:
        described = descriptions(path)
        if not described and descriptions(os.path.dirname(path.rstrip("/"))):
            return ()
        volumes = volumes_in(described, files)
        return [Part(volume.name) for volume in volumes] if len(volumes) > 1 else [WHOLE]

    def _open(self) -> None:
        volume = self._volume()
        layer = self._layer = volume.layer
        self._ending = volume.ending
        check_known(volume.ending, layer.path)
        if is_url(layer.folder) or "://" in layer.folder:
            raise SourceError(
                f"{layer.path}: the cubes of {layer.name} are on a server, {layer.folder}; they "
                "have to be in a local folder."
            )
        self._mags = [mag for mag in mags_of(layer) if self._is_there(mag[1])]
        if not self._mags:
            raise SourceError(f"{layer.path}: there is no {layer.folder}/mag1 with cubes.")
        self._stored = self._dtype()
        self.dtype = served_dtype(self._stored, layer.path)
        limit = self.files.max_chunk
        check_chunk(layer.path, "a cube", layer.cube, self._stored.itemsize, limit)
        first = volume.ratio(self._mags[0][0])
        levels = {
            os.path.basename(folder): self._level(volume.ratio(index), first)
            for index, folder in self._mags
        }
        states = {name: self._is_written(name, level.shape) for name, level in levels.items()}
        names = written_levels(layer.path, "cubes", states)
        rungs = ladder(layer.path, {name: levels[name] for name in names})
        self.scales = {mip: scale for mip, (_, scale) in rungs.items()}
        self._names = {mip: name for mip, (name, _) in rungs.items()}
        z, y, x = (size * by for size, by in zip(layer.sizes[0], first, strict=True))
        self._stated = (z, y, x), os.path.basename(layer.path)
        labels = is_overlay(volume.ending)
        if labels or volume.ending != ".raw" or self.dtype.itemsize < 4:
            kind = "segmentation" if labels else "image"
            self._stated_kind = kind, f"cubes {volume.ending}"

    def _volume(self) -> Volume:
        described = descriptions(self.path)
        if not described:
            raise SourceError(
                f"{self.path} has no .k.toml, .pyk.conf or {CONF} that says how large it is."
            )
        volumes = volumes_in(described, self.files, self._watch)
        for volume in volumes:
            if not self.part or volume.name == str(self.part):
                return volume
        named = ", ".join(volume.name for volume in volumes)
        raise SourceError(f"{self.path} has no layer {self.part}; it has {named}.")

    def _is_there(self, folder: str) -> bool:
        """Return whether the folder of a mag exists; report a coarser one that does not."""
        real = self.files.resolve(folder)
        self._watch(real)
        if not os.path.isdir(real):
            log.warning(
                "%s: there is no %s; mags that are coarser are computed from those that are there.",
                *(self._layer.path, folder),
            )
        return os.path.isdir(real)

    def _level(self, ratio: VoxelSize, first: VoxelSize) -> StoredLevel:
        layer = self._layer
        shape = zyx(math.ceil(size / by) for size, by in zip(layer.shape, ratio, strict=True))
        z, y, x = (a / b for a, b in zip(ratio, first, strict=True))
        return StoredLevel(shape, layer.cube, (z, y, x))

    def _dtype(self) -> np.dtype[Any]:
        """Return the stored dtype: the stated one, that of an image, or else 8 or 64 bits."""
        stated = self._layer.dtype
        if stated:
            try:
                return np.dtype(stated).newbyteorder("<")
            except TypeError:
                raise SourceError(
                    f"{self._layer.path}: its DataType is {stated!r:.80}; allowed are uint8, "
                    "uint16, uint32 and uint64."
                ) from None
        if self._ending in IMAGES:
            folder = self._mags[0][1]
            for name in sorted(sample_below(self.files, folder, deep=True).names):
                data = self._read_file(f"{folder}/{name}") if name.endswith(self._ending) else None
                if data:
                    return header(data, f"{folder}/{name}", labels=False)[1]
        return np.dtype("<u8" if is_overlay(self._ending) else "u1")

    def _is_written(self, mag: str, shape: Zyx) -> bool | None:
        """Return whether a mag has cubes under the names of the format; None if not known."""
        sample = sample_below(self.files, f"{self._layer.folder}/{mag}", deep=True)
        counts = zyx(map(ceil_div, shape, self._layer.cube))

        def right(name: str) -> str | None:
            match = CUBE.fullmatch(name)
            index = zyx(int(match[axis]) for axis in (3, 2, 1)) if match else counts
            return self._cube(mag, index) if all(map(int.__lt__, index, counts)) else None

        def is_like(name: str) -> bool:
            match = CUBE.fullmatch(name)
            return match is not None and match[4] == self._ending and is_lasting(name)

        def is_there(name: str) -> bool:
            return os.path.exists(f"{self._layer.folder}/{name}")

        keys = ChunkKeys(mag, right, is_like=is_like)
        return has_chunks(
            self._layer.folder, sample, keys, is_there, keys.path(self._cube(mag, (0, 0, 0)))
        )

    def _cube(self, mag: str, index: Zyx) -> str:
        """Return the path of a cube below the folder of its mag."""
        z, y, x = (f"{at:04d}" for at in index)
        return f"x{x}/y{y}/z{z}/{self._layer.name}_{mag}_x{x}_y{y}_z{z}{self._ending}"

    def _tile_path(self, mip: int, index: Zyx) -> str:
        mag = self._names[mip]
        return f"{self._layer.folder}/{mag}/{self._cube(mag, index)}"

    @override
    def _decode(self, data: bytes, path: str) -> Voxels:
        return decoded(data, path, self._ending, self._layer.cube, self._stored)

    @override
    def stored_as(self, mip: int) -> Sequence[StoredAs]:
        return ()

    @override
    def all_files(self) -> Iterable[str]:
        yield from self._read_at_first
        for _, mag in self._mags:
            for folder, folders, names in os.walk(mag):
                folders.sort()
                yield from (os.path.join(folder, name) for name in sorted(names))

    @override
    def reads_at_once(self, mip: int, box: BoundingBox) -> bool:
        return self._ending in FLAT

    @override
    def _read_inside(self, mip: int, box: BoundingBox) -> Voxels:
        if self._ending not in FLAT:
            return super()._read_inside(mip, box)
        voxels = np.empty(box.shape, self.dtype)
        cube = self._layer.cube
        for index in indexes(box.in_tiles(cube)):
            place = BoundingBox.of_shape((1, 1, 1), index).refined(cube)
            part = place & box
            target = voxels[part.relative_to(box.start).slices]
            self._read_flat(self._tile_path(mip, index), part.relative_to(place.start), target)
        return voxels

    def _read_flat(self, path: str, box: BoundingBox, voxels: Voxels) -> None:
        """Read a part of a cube that is not compressed."""
        self._watch(path)
        if self._stamps.get(path, stamp_of(path)) is None:
            if self._read_file(path) is not None:
                raise SourceChanged(f"{path} changed on disk while it was read.")
            voxels[...] = 0
            return
        with self.files.open(path) as (fd, stamp):
            if stamp is None or stamp != self._stamps.get(path, stamp):
                raise SourceChanged(f"{path} changed on disk while it was read.")
            read_flat(fd, stamp[1], Flat(path, self._layer.cube, self._stored), box, voxels)
