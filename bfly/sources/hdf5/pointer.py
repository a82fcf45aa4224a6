"""Pointers to HDF5: JSON files that list the files and datasets of a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.errors import SourceError
from bfly.storage.limits import METADATA, parsed_json

if TYPE_CHECKING:
    from typing import Any

    from bfly.storage.files import Files

__all__ = ["is_pointer", "read_pointers"]


def read_pointers(files: Files, path: str) -> list[dict[str, Any]]:
    """Read a pointer, or a list of them, from a file.

    Raises
    ------
    SourceError
        The file does not exist, or contains something else.
    """
    try:
        found = parsed_json(files.read_bytes(path, METADATA), path)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist.") from None
    if not is_pointer(found):
        raise SourceError(
            f"{path} is not a pointer to HDF5: that is an object with filename, "
            "dataset-path and z-offset (a whole number, at least 0), or a list of those."
        )
    return found if isinstance(found, list) else [found]


def is_pointer(found: Any) -> bool:
    """Return whether a JSON value is a pointer or a list of them."""
    pointers = found if isinstance(found, list) else [found]
    return bool(pointers) and all(
        isinstance(pointer, dict)
        and isinstance(pointer.get("filename"), str)
        and isinstance(pointer.get("dataset-path", ""), str)
        and type(pointer.get("z-offset", 0)) is int
        and pointer.get("z-offset", 0) >= 0
        for pointer in pointers
    )
