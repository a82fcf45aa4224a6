"""Volumes of a dataset: each layer that a file describes, as an image or as labels."""

from __future__ import annotations

import os
import re
from itertools import count, islice
from typing import TYPE_CHECKING, NamedTuple

from bfly.errors import NotAllowed, SourceError
from bfly.sources.knossos.cubes import is_overlay
from bfly.sources.knossos.description import ENDINGS, layers_in
from bfly.sources.shared.sample import first_names, sample_below
from bfly.storage.files import is_url, regular
from bfly.storage.limits import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bfly.sources.knossos.description import Layer
    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

__all__ = [
    "CONF",
    "Volume",
    "descriptions",
    "has_cubes",
    "is_description",
    "mags_of",
    "volumes_in",
]

CONF = "knossos.conf"

LOSSLESS = (".raw", ".png", ".j2k", ".jp2")
"""Endings that are preferred to others of the same voxels, the best first."""

MAGS = tuple(f"mag{number}" for number in (*range(1, 9), 16, 32, 64))
"""Names of the folders of mags, the finest first."""

MOST = 10_000
"""Entries of a folder that are looked at for a file that describes it."""


class Volume(NamedTuple):
    """A volume of a dataset.

    Parameters
    ----------
    name : str
        Its part of the dataset's path.
    layer : Layer
        The layer.
    ending : str
        Ending of the names of its cubes.
    """

    name: str
    layer: Layer
    ending: str

    def ratio(self, index: int) -> VoxelSize:
        """Return the voxels of mag 1 per voxel of a mag (z, y, x)."""
        sizes = self.layer.sizes
        if index >= len(sizes):
            return (float(1 << index),) * 3
        z, y, x = (a / b for a, b in zip(sizes[index], sizes[0], strict=True))
        return z, y, x


def descriptions(path: str) -> list[str]:
    """Return the files that describe a dataset; several only if each is a ``.k.toml``.

    Parameters
    ----------
    path : str
        Such a file, or a folder with one, also in the folders of its mags.
    """
    if not os.path.isdir(path):
        return [path] if _is_description(os.path.basename(path)) else []
    names = _descriptions_in(path)
    for ending in ENDINGS:
        listed = [f"{path}/{name}" for name in names if name.endswith(f".{ending}")]
        if listed:
            return listed if ending == "k.toml" else listed[:1]
    places = [path, *(f"{path}/{mag}" for mag in MAGS)]
    found = (f"{place}/{CONF}" for place in places if os.path.exists(f"{place}/{CONF}"))
    return [*found][:1]


def has_cubes(path: str) -> bool:
    """Return whether a folder, or one of its mags, has folders of cubes."""
    if is_description(f"{path}/{CONF}"):
        return True
    names = first_names(path)
    cubes = (first_names(f"{path}/{mag}") for mag in MAGS if mag in names)
    return any(re.fullmatch(r"x\d{4,}", name) for inner in cubes for name in inner)


def is_description(path: str) -> bool:
    """Return whether a file is named as a description, and says what each does."""
    if not _is_description(os.path.basename(path)):
        return False
    try:
        with regular(path) as file:
            head = file.read(1 << 16)
    except (OSError, ValueError):
        return False
    return any(word in head for word in (b"[[Layer]]", b"[Dataset", b"experiment name"))


def _descriptions_in(path: str) -> list[str]:
    """Return the names of the files in a folder that may describe it."""
    try:
        with os.scandir(path) as listing:
            names = [entry.name for entry in islice(listing, MOST)]
    except OSError:
        return []
    return sorted(name for name in names if _is_description(name))


def _is_description(name: str) -> bool:
    return name == CONF or name.endswith(tuple(f".{ending}" for ending in ENDINGS))


def volumes_in(
    paths: Iterable[str], files: Files, watch: Callable[[str], None] = lambda path: None
) -> list[Volume]:
    """Return the volumes that files describe, each once.

    Parameters
    ----------
    paths : iterable of str
        The files.
    files : Files
        Access to them, and to the folders of cubes.
    watch : callable
        Called with the path of each file before it is read.

    Raises
    ------
    SourceError, NotAllowed
        A file cannot be used.
    """
    volumes: list[Volume] = []
    seen: set[tuple[str, str, str]] = set()
    for path in paths:
        watch(path)
        try:
            layers = layers_in(files.read_bytes(path, METADATA), path)
        except FileNotFoundError:
            raise SourceError(f"{path} does not exist.") from None
        for layer in layers:
            for ending in _endings(layer, files):
                cubes = layer.folder, layer.name, ending
                if cubes not in seen:
                    seen.add(cubes)
                    taken = {volume.name for volume in volumes}
                    volumes.append(Volume(_free(layer, ending, taken), layer, ending))
    return volumes


def _free(layer: Layer, ending: str, taken: set[str]) -> str:
    """Return a name for a volume that no other one has."""
    both = len({is_overlay(each) for each in layer.endings}) == 2
    name = f"{layer.name}-overlay" if both and is_overlay(ending) else layer.name
    return next(
        new
        for new in (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
        if new not in taken
    )


def _endings(layer: Layer, files: Files) -> list[str]:
    """Return the ending of a layer's image and that of its labels, as far as it has both.

    Of several that hold the same voxels, one without loss is read, if there are such cubes. A
    ``knossos.conf`` names none: what it describes has the cubes that are there.
    """
    if not layer.endings:
        raise SourceError(f"{layer.path}: the layer {layer.name} has no FileExtension.")
    there = _endings_there(layer, files)
    chosen = []
    for overlay in (False, True):
        listed = [each for each in layer.endings if is_overlay(each) == overlay]
        listed.sort(key=lambda each: LOSSLESS.index(each) if each in LOSSLESS else len(LOSSLESS))
        written = [each for each in listed if each in there]
        needed = not (layer.is_open and (overlay or there))
        chosen += (written or (listed if needed else []))[:1]
    return chosen


def _endings_there(layer: Layer, files: Files) -> set[str]:
    """Return the endings of some cubes in each mag: coarse ones have them all in few files."""
    if len(layer.endings) == 1 or is_url(layer.folder):
        return set()
    names: list[str] = []
    for _, folder in mags_of(layer):
        try:
            names += sample_below(files, folder, deep=True).names
        except (NotAllowed, SourceError):
            continue
    matches = (re.search(r"_z\d+(\..+)$", name) for name in names)
    return {match[1] for match in matches if match}


def mags_of(layer: Layer) -> Sequence[tuple[int, str]]:
    """Return the index and the folder of each mag that a layer may have, the finest first.

    Of an open layer these are the folders that exist.
    """
    numbers = count() if layer.doubles else range(len(layer.sizes))
    mags: list[tuple[int, str]] = []
    for index in numbers:
        if index >= (16 if layer.is_open else len(layer.sizes)):
            break
        folder = f"{layer.folder}/mag{1 << index if layer.doubles else index + 1}"
        if not layer.is_open or os.path.isdir(folder):
            mags.append((index, folder))
    return mags
