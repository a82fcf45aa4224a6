"""Fields of the older files that describe datasets: lines of ``knossos.conf`` and ``.pyk.conf``.

The formats are what KNOSSOS reads: ``dataset.cpp`` and ``dataset_conf_specifications.md`` of
https://github.com/knossos-project/knossos.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OVERLAYS", "conf_fields", "pyknossos_datasets"]

OVERLAYS = (".seg.sz.zip", ".seg.sz", ".seg")
"""Endings of cubes with labels, which may lie beside those of images."""

_LINE = re.compile(r"\s*([A-Za-z_]+)\s*([^;]*?)\s*;?\s*")

_RATIOS = {0: ".raw", 1000: ".jpg", 1001: ".j2k"}
"""Endings by ``compression_ratio``; any other number is that of a JPEG 2000."""

FILE_TYPES = {"0": ".raw", "1": ".png", "2": ".png", "3": ".jpg"}
"""Endings by ``_FileType``."""


def conf_fields(text: str, path: str) -> dict[str, Any]:
    """Return the fields of a ``knossos.conf``.

    Returns
    -------
    dict
        ``name``, ``boundary`` and ``scale`` (x, y, z), ``magnification``, ``cube_edge_length``,
        ``url`` of a server or "", and ``endings``, the likeliest first.

    Raises
    ------
    SourceError
        A field is missing, or is no number.
    """
    fields: dict[str, Any] = {}
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            word, rest = match.groups()
            axis, _, value = rest.partition(" ")
            key = f"{word} {axis}" if word in ("boundary", "scale", "experiment") else word
            fields[key] = value.strip() if word != key else rest
    name = fields.get("experiment name", "").strip('"')
    ratio = int(_number(fields.get("compression_ratio", "0"), "compression_ratio", path))
    plain = ".png" if "png" in fields else ".raw"
    packed = _RATIOS.get(ratio, f".{ratio}.jp2")
    images = [plain] if ratio == 0 else [packed, plain]
    return {
        "name": name,
        "boundary": [int(_stated(fields, f"boundary {axis}", path)) for axis in "xyz"],
        "scale": [_stated(fields, f"scale {axis}", path) for axis in "xyz"],
        "magnification": max(
            1, int(_number(fields.get("magnification", "1"), "magnification", path))
        ),
        "cube_edge_length": int(
            _number(fields.get("cube_edge_length", "128"), "cube_edge_length", path)
        ),
        "url": "http://" + fields["ftp_mode"] if "ftp_mode" in fields else "",
        "endings": (*images, *OVERLAYS),
    }


def pyknossos_datasets(text: str, path: str) -> list[dict[str, Any]]:
    """Return the datasets of a ``.pyk.conf``, with the names that fields have in ``.k.toml``.

    Raises
    ------
    SourceError
        It has none, or a field that should have numbers has others.
    """
    datasets: list[dict[str, Any]] = []
    for line in text.splitlines():
        key, separator, value = (each.strip() for each in line.partition("="))
        value = value.strip('"')
        if key.startswith("[Dataset"):
            datasets.append({})
        elif datasets and separator:
            datasets[-1] |= _field(key, value, path)
    if not datasets:
        raise SourceError(f"{path} has no [Dataset].")
    return datasets


def _field(key: str, value: str, path: str) -> dict[str, Any]:
    """Return what a line of a ``.pyk.conf`` says; nothing if it is not of the voxels."""
    match key:
        case "_BaseName":
            return {"Name": value}
        case "_BaseURL":
            return {"URL": value}
        case "_ServerFormat":
            return {"ServerFormat": value}
        case "_BaseExt":
            return {"FileExtension": value}
        case "_FileType":
            return {"FileExtension": FILE_TYPES.get(value, value)}
        case "_Extent":
            return {"Extent_px": [int(each) for each in _numbers(value, key, path)]}
        case "_CubeSize":
            return {"CubeShape_px": [int(each) for each in _numbers(value, key, path)]}
        case "_DataScale":
            numbers = _numbers(value, key, path)
            return {"VoxelSize_nm": [numbers[at : at + 3] for at in range(0, len(numbers), 3)]}
    return {}


def _numbers(value: str, key: str, path: str) -> Sequence[float]:
    return [_number(each.strip(), key, path) for each in value.split(",") if each.strip()]


def _stated(fields: dict[str, Any], key: str, path: str) -> float:
    if key not in fields:
        raise SourceError(f"{path} has no {key}.")
    return _number(fields[key], key, path)


def _number(value: str, key: str, path: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1 << 62:
        raise SourceError(f"{path}: {key} is {value!r:.80}; allowed are numbers from 0.")
    return number
