"""Attributes of N5 datasets as TensorStore takes them: without options of encoders.

The format: https://github.com/saalfeldlab/n5. Its Java classes write all their fields as options
of a compression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.errors import SourceError
from bfly.sources.codecs.options import NUMCODECS, check_options

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cleaned"]

OPTIONS: Mapping[str, set[str]] = {
    "blosc": NUMCODECS["blosc"],
    "bzip2": {"blockSize"},
    "gzip": {"level", "useZlib"},
    "lz4": {"blockSize"},
    "raw": set(),
    "xz": {"preset"},
    "zstd": NUMCODECS["zstd"],
}
"""By compression: its known options, of which only ``useZlib`` concerns the decoder."""

GIVEN: Mapping[str, dict[str, Any]] = {
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": 0},
    "bzip2": {"blockSize": 9},
    "xz": {"preset": 6},
    "zstd": {"level": 1},
}
"""Options that TensorStore is given."""


def cleaned(attributes: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return what TensorStore needs of the attributes of a dataset.

    Parameters
    ----------
    attributes : mapping
        Its ``attributes.json``. N5 before 1.0 stated the name of the compression only, as
        ``compressionType``.
    path : str
        Name of the channel in messages.

    Raises
    ------
    SourceError
        The compression is not supported, or has an unknown option.
    """
    stated = attributes.get("compression")
    if stated is None and isinstance(attributes.get("compressionType"), str):
        stated = {"type": attributes["compressionType"]}
    kind = str(stated.get("type")) if isinstance(stated, dict) else ""
    if not isinstance(stated, dict) or kind not in OPTIONS:
        raise SourceError(
            f"{path}: the compression is {stated!r:.80}; allowed are the types "
            f"{', '.join(OPTIONS)}."
        )
    check_options(kind, [key for key in stated if key != "type"], OPTIONS, path)
    options = GIVEN.get(kind, {})
    if kind == "gzip" and stated.get("useZlib"):
        options = {"useZlib": True}
    needed = {key: attributes[key] for key in ("dimensions", "blockSize", "dataType")}
    return {**needed, "compression": {"type": kind, **options}}
