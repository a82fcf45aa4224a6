"""Chains of codecs by which a chunk was written, undone from the last to the first."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bfly.errors import SourceError
from bfly.sources.codecs.checksums import AT_START, SUMS, verified
from bfly.sources.codecs.filters import FILTERS, Step
from bfly.sources.codecs.options import NUMCODECS, check_options
from bfly.sources.codecs.streams import DICTIONARY, streamed, unpacked
from bfly.sources.shared.images import naming
from bfly.storage.limits import check_length

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Chain", "check_codec", "step_of"]

MARGIN = 1 << 20
"""Bytes that data between two codecs may have beyond twice the voxels, if no codec tells."""

LZMA = {0: lzma.FORMAT_AUTO, 1: lzma.FORMAT_XZ, 2: lzma.FORMAT_ALONE}
"""Formats of Python's lzma by their numbers in metadata, except for data without any header."""


def step_of(name: str, options: Mapping[str, Any], path: str) -> Step:
    """Return the step of a codec.

    Parameters
    ----------
    name : str
        Its name in numcodecs.
    options : mapping
        Its configuration.
    path : str
        Name of the channel in messages.

    Raises
    ------
    SourceError
        There is no such codec, or its options are wrong.
    """
    check_codec(name, path)
    where = f"{path}: the codec {name}"
    check_options(name, options, NUMCODECS, path)
    if name in FILTERS:
        return FILTERS[name](options, where)
    if name == "bitround":
        return Step(lambda data, _most, _what: data, lambda size: size)
    if name in SUMS:
        return _checksum(name, options, where)
    if name == "lzma":
        return _lzma(options, where)
    return Step(
        lambda data, most, what: unpacked(bytes(data), name, most, what), lambda _size: None
    )


def check_codec(name: str, path: str) -> None:
    """Raise `SourceError` unless a codec of numcodecs, by its name there, is supported."""
    if name not in NUMCODECS:
        raise SourceError(f"{path} has the codec {name!r:.50}; allowed are {', '.join(NUMCODECS)}.")


def _checksum(name: str, options: Mapping[str, Any], where: str) -> Step:
    location = options.get("location") or ("start" if name in AT_START else "end")
    if location not in ("start", "end"):
        raise SourceError(f"{where}: location is {location!r:.50}; allowed are start and end.")
    if options.get("initval") or options.get("prefix"):
        raise SourceError(f"{where} has an initval or a prefix; allowed is none.")
    undo = partial(verified, name=name, at_start=location == "start")
    return Step(lambda data, _most, _what: undo(data), lambda size: size + 4)


def _lzma(options: Mapping[str, Any], where: str) -> Step:
    kind, filters = options.get("format", 1), options.get("filters")
    if kind in LZMA:
        make = partial(lzma.LZMADecompressor, LZMA[kind], memlimit=DICTIONARY)
    elif kind == lzma.FORMAT_RAW and isinstance(filters, list) and _are_small(filters):
        make = partial(lzma.LZMADecompressor, lzma.FORMAT_RAW, filters=filters)
    else:
        raise SourceError(
            f"{where} has the format {kind!r:.50} and the filters {filters!r:.100}; allowed are 0 "
            f"to 2, or 3 with filters, dictionaries up to {DICTIONARY} bytes."
        )
    return Step(
        lambda data, most, what: streamed(bytes(data), make, most, what), lambda _size: None
    )


def _are_small(filters: Sequence[Any]) -> bool:
    """Return whether no filter of raw LZMA data requests a large dictionary."""
    sizes = [each.get("dict_size", 0) if isinstance(each, dict) else None for each in filters]
    return all(isinstance(size, int) and size <= DICTIONARY for size in sizes)


@dataclass(frozen=True, slots=True)
class Chain:
    """The codecs of a chunk.

    Parameters
    ----------
    steps : sequence of Step
        The codecs, the first one that was applied first.
    size : int
        Bytes of the voxels.
    """

    steps: Sequence[Step]
    size: int

    def check(self, path: str, limit: int) -> None:
        """Raise `Oversized` if codecs make more of a chunk that is not too large itself.

        Parameters
        ----------
        path : str
            Name of the channel in the message.
        limit : int
            Bytes.
        """
        if self.size <= limit:
            largest = max(size or 0 for size in self._sizes())
            check_length(f"{path}: a chunk between its codecs", largest, limit)

    def undo(self, data: bytes, what: str) -> Any:
        """Return the voxels of a chunk, `size` bytes.

        Parameters
        ----------
        data : bytes
            The chunk as it is stored.
        what : str
            Names it in messages.

        Raises
        ------
        SourceError
            It is damaged, or holds more or less.
        """
        sizes = self._sizes()
        result: Any = data
        self._check(result, sizes[-1], what)
        with naming(what):
            for step, size in zip(self.steps[::-1], sizes[-2::-1], strict=True):
                result = step.undo(result, self._most if size is None else size, what)
                self._check(result, size, what)
        return result

    def _sizes(self) -> list[int | None]:
        """Return the bytes of the voxels, and those after each step; None where that depends."""
        sizes: list[int | None] = [self.size]
        for step in self.steps:
            before = sizes[-1]
            sizes.append(None if before is None else step.size(before))
        return sizes

    @property
    def _most(self) -> int:
        return 2 * self.size + MARGIN

    @staticmethod
    def _check(data: Any, size: int | None, what: str) -> None:
        there = memoryview(data).nbytes
        if size is not None and there != size:
            raise SourceError(f"{what} is damaged: it holds {there} bytes where {size} belong.")
