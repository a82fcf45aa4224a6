"""Options of codecs that are known: no other may be ignored, since it may change the voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["NUMCODECS", "check_options"]

_TYPES = {"dtype", "astype"}

NUMCODECS: Mapping[str, set[str]] = {
    "adler32": {"location"},
    "astype": {"encode_dtype", "decode_dtype"},
    "base64": set(),
    "bitround": {"keepbits"},
    "blosc": {
        *{"cname", "clevel", "shuffle", "blocksize"},
        *{"nthreads", "numinternalthreads", "typesize"},
    },
    "bz2": {"level"},
    "crc32": {"location"},
    "crc32c": {"location"},
    "delta": _TYPES,
    "fixedscaleoffset": {*_TYPES, "scale", "offset"},
    "fletcher32": set(),
    "gzip": {"level"},
    "jenkins_lookup3": {"initval", "prefix"},
    "lz4": {"acceleration"},
    "lzma": {"format", "check", "preset", "filters"},
    "packbits": set(),
    "quantize": {*_TYPES, "digits"},
    "shuffle": {"elementsize"},
    "zlib": {"level"},
    "zstd": {"level", "checksum", "nbWorkers"},
}
"""Of the codecs of https://numcodecs.readthedocs.io that are read; some are of other writers."""


def check_options(
    name: str, options: Iterable[object], known: Mapping[str, set[str]], path: str
) -> None:
    """Raise `SourceError` if a codec has an option that is not known.

    Parameters
    ----------
    name : str
        Name of the codec.
    options : iterable
        Names of its options.
    known : mapping
        Options by codec, such as `NUMCODECS`. A codec that is not in it is refused elsewhere.
    path : str
        Name of the channel in the message.
    """
    allowed = known.get(name)
    odd = None if allowed is None else next((key for key in options if key not in allowed), None)
    if odd is not None and allowed is not None:
        raise SourceError(
            f"{path}: the codec {name} has the unknown option {odd!r:.50}; allowed are "
            f"{', '.join(sorted(allowed)) or 'none'}."
        )
