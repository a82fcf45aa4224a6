"""Files that describe a dataset of KNOSSOS: ``.k.toml``, ``.pyk.conf`` and ``knossos.conf``.

The formats are what KNOSSOS reads: ``dataset.cpp`` of https://github.com/knossos-project/knossos.
Their order is x, y, z.
"""

from __future__ import annotations

import logging
import os
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.knossos.legacy import conf_fields, pyknossos_datasets
from bfly.sources.shared.units import sizes
from bfly.storage.limits import LEVELS, check_number, sides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.geometry import Zyx
    from bfly.sources.mips import VoxelSize

__all__ = ["ENDINGS", "Layer", "folder_of", "layers_in"]

log = logging.getLogger(__name__)

ENDINGS = {
    "k.toml": "a KNOSSOS dataset",
    "pyk.conf": "a PyKNOSSOS dataset",
    "pyknossos.conf": "a PyKNOSSOS dataset",
    "ariadne.conf": "a PyKNOSSOS dataset",
    "k.conf": "a KNOSSOS dataset",
}
"""Endings of the files, the newest first, besides ``knossos.conf``."""

FORMATS = ("", "knossos", "pyknossos")
"""Allowed values of ``ServerFormat``; with ``knossos``, mags are named 1, 2, 4, …."""

SIZE = re.compile(r"mag([0-9]{1,5})")
"""Names of the folders of mags."""


@dataclass(frozen=True)
class Layer:
    """A layer, as its file describes it.

    Parameters
    ----------
    path : str
        The file.
    name : str
        Name of the layer; a part of the names of cubes.
    folder : str
        Where the folders ``magN`` are; a URL, if they are on a server.
    endings : tuple of str
        Endings of the names of cubes, such as ``.raw``; several hold the same, or labels.
    shape, cube : tuple of int
        Voxels of mag 1, and of a cube (z, y, x).
    sizes : tuple
        Nanometres (z, y, x) of a voxel of each mag, the finest first.
    doubles : bool
        Whether the number of a folder is how much coarser it is: 1, 2, 4, …. Otherwise mags are
        counted: 1, 2, 3, ….
    is_open : bool
        Whether there may be more mags than sizes, each twice as coarse along each axis.
    dtype : str
        Stated type of voxels; "" if none is stated.
    """

    path: str
    name: str
    folder: str
    endings: tuple[str, ...]
    shape: Zyx
    cube: Zyx
    sizes: tuple[VoxelSize, ...]
    doubles: bool
    is_open: bool = False
    dtype: str = ""


def layers_in(data: bytes, path: str) -> list[Layer]:
    """Return the layers that a file describes.

    Parameters
    ----------
    data : bytes
        The file.
    path : str
        Its name, which says what it is.

    Raises
    ------
    SourceError
        The file is damaged, or says what is not allowed; the message has the field and value.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not text: {error}.") from error
    if path.endswith(".toml"):
        stated = _toml(text, path)
    elif path.endswith(".k.conf") or os.path.basename(path) == "knossos.conf":
        return [_by_conf(conf_fields(text, path), path)]
    else:
        stated = pyknossos_datasets(text, path)
    check_number(path, len(stated), LEVELS, "layers")
    return [_layer(each, f"{path}: layer {number}", path) for number, each in enumerate(stated, 1)]


def folder_of(path: str) -> str:
    """Return the folder of a dataset that a file describes: the one above that of a mag."""
    folder = os.path.dirname(path)
    return os.path.dirname(folder) if SIZE.fullmatch(os.path.basename(folder)) else folder


def _toml(text: str, path: str) -> list[dict[str, Any]]:
    try:
        layers = tomllib.loads(text).get("Layer")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SourceError(f"{path} is not usable TOML: {error}.") from error
    if isinstance(layers, list) and layers and all(isinstance(each, dict) for each in layers):
        return layers
    raise SourceError(f"{path} has no [[Layer]].")


def _layer(stated: dict[str, Any], where: str, path: str) -> Layer:
    """Return the layer that a table of fields describes, by their names in ``.k.toml``."""
    form = str(stated.get("ServerFormat", "")).lower()
    if form not in FORMATS:
        raise SourceError(
            f"{where}: its ServerFormat is {form}; allowed are cubes: "
            f"{', '.join(filter(None, FORMATS))}, or none stated."
        )
    lengths = stated.get("VoxelSize_nm")
    if not isinstance(lengths, list) or not lengths:
        raise SourceError(f"{where}: its VoxelSize_nm is {lengths!r:.80}; needed is one for a mag.")
    check_number(where, len(lengths), LEVELS, "mags")
    endings = stated.get("FileExtension")
    listed = [endings] if isinstance(endings, str) else endings or []
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise SourceError(f"{where}: its FileExtension is {endings!r:.80}; allowed is text.")
    return Layer(
        path,
        _name(stated.get("Name"), where),
        _folder(str(stated.get("URL") or ""), path),
        tuple(f".{ending.lstrip('.')}" for ending in listed),
        _sides(stated.get("Extent_px"), "Extent_px", where),
        _sides(stated.get("CubeShape_px", [128] * 3), "CubeShape_px", where),
        tuple(_size(each, where) for each in lengths),
        form == "knossos",
        dtype=str(stated.get("DataType") or ""),
    )


def _by_conf(fields: dict[str, Any], path: str) -> Layer:
    """Return the layer that a ``knossos.conf`` describes; that of a coarser mag counts in it."""
    mag, edge = fields["magnification"], fields["cube_edge_length"]
    shape = zyx(side * mag for side in _sides(fields["boundary"], "boundary", path))
    z, y, x = _size(fields["scale"], path)
    remote = fields["url"]
    return Layer(
        path,
        _name(fields["name"], path),
        remote or folder_of(path),
        fields["endings"],
        shape,
        _sides([edge] * 3, "cube_edge_length", path),
        ((z / mag, y / mag, x / mag),),
        doubles=True,
        is_open=True,
    )


def _name(value: Any, where: str) -> str:
    """Return the name of a layer; KNOSSOS cuts it off before ``_mag``."""
    name = value.split("_mag")[0] if isinstance(value, str) else ""
    if name and "/" not in name and "\0" not in name:
        return name
    raise SourceError(f"{where}: its name is {value!r:.80}; it has to be that of its cubes.")


def _folder(url: str, path: str) -> str:
    """Return the folder that a URL names; that of the file, if there is none, or it was moved."""
    parts, beside = urlsplit(url), folder_of(path)
    if parts.scheme not in ("", "file"):
        # A login must not be in messages.
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    stated = os.path.normpath(os.path.join(beside, unquote(parts.path)))
    if not os.path.isdir(f"{stated}/mag1") and os.path.isdir(f"{beside}/mag1"):
        log.warning("%s: there are no cubes in %s; those beside it are read.", path, stated)
        return beside
    return stated


def _sides(values: Any, what: str, where: str) -> Zyx:
    listed = sides(values, what, where)
    if len(listed) != 3:
        raise SourceError(f"{where}: {what} is {values!r:.80}; it has to have x, y and z.")
    return zyx(listed[::-1])


def _size(values: Sequence[Any], where: str) -> VoxelSize:
    try:
        x, y, z = (float(value) for value in values)
        found = sizes((z, y, x), 1.0)
    except (TypeError, ValueError):
        found = None
    if found is None:
        raise SourceError(f"{where}: a voxel has {values!r:.80} nm; allowed are three lengths.")
    return found
