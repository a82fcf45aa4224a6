"""Filters of numcodecs, undone as numcodecs does: https://numcodecs.readthedocs.io.

Some of them lost precision when a chunk was written. What they left is read exactly.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np

from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Options = Mapping[str, Any]

__all__ = ["FILTERS", "Step", "voxel_type"]


class Step(NamedTuple):
    """A codec of a chain.

    Parameters
    ----------
    undo : callable
        Takes encoded data, the bytes that the result may have at most, and the name of the chunk
        in messages. Returns the result, bytes or an array of one axis. Any error means damage.
    size : callable
        Takes a number of bytes, and returns how many it encodes them to; None if that depends
        on the data.
    dtype : numpy.dtype, optional
        dtype of the encoded values, if it is another than that of the values before.
    """

    undo: Callable[[Any, int, str], Any]
    size: Callable[[int], int | None]
    dtype: np.dtype[Any] | None = None


def voxel_type(value: Any, where: str) -> np.dtype[Any]:
    """Return the dtype that metadata state for numbers of at most 8 bytes.

    Raises
    ------
    SourceError
        It is no such dtype.
    """
    try:
        dtype = np.dtype(value) if isinstance(value, str) else np.dtype("V1")
    except (TypeError, ValueError):
        dtype = np.dtype("V1")
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise SourceError(f"{where}: the dtype is {value!r:.50}; allowed are those of numbers.")
    return dtype


def _resized(before: np.dtype[Any], after: np.dtype[Any]) -> Callable[[int], int]:
    return lambda size: size // before.itemsize * after.itemsize


def _pair(options: Options, where: str) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the dtype of the voxels and that of the encoded values, by default the same."""
    dtype = voxel_type(options.get("dtype"), where)
    encoded = options.get("astype")
    return dtype, dtype if encoded is None else voxel_type(encoded, where)


def _delta(options: Options, where: str) -> Step:
    dtype, stored = _pair(options, where)

    def undo(data: Any, _most: int, _what: str) -> Any:
        values = np.frombuffer(data, stored)
        if dtype == stored and dtype.kind in "iu":
            # Six times as fast: the sum of integers of one dtype may wrap at any step.
            return imagecodecs.delta_decode(values)
        return np.cumsum(values, out=np.empty(len(values), dtype))

    return Step(undo, _resized(dtype, stored), stored)


def _fixed_scale_offset(options: Options, where: str) -> Step:
    dtype, stored = _pair(options, where)
    scale, offset = options.get("scale"), options.get("offset")
    numbers = [value for value in (scale, offset) if isinstance(value, int | float)]
    if len(numbers) < 2 or not scale:
        raise SourceError(
            f"{where}: scale is {scale!r:.50}, offset {offset!r:.50}; allowed are numbers, and no "
            "scale of 0."
        )

    def undo(data: Any, _most: int, _what: str) -> Any:
        return (np.frombuffer(data, stored) / numbers[0] + numbers[1]).astype(dtype, copy=False)

    return Step(undo, _resized(dtype, stored), stored)


def _cast(dtype: np.dtype[Any], stored: np.dtype[Any]) -> Step:
    def undo(data: Any, _most: int, _what: str) -> Any:
        return np.frombuffer(data, stored).astype(dtype, copy=False)

    return Step(undo, _resized(dtype, stored), stored)


def _quantize(options: Options, where: str) -> Step:
    return _cast(*_pair(options, where))


def _astype(options: Options, where: str) -> Step:
    names = options.get("decode_dtype"), options.get("encode_dtype")
    return _cast(voxel_type(names[0], where), voxel_type(names[1], where))


def _packbits(_options: Options, _where: str) -> Step:
    def undo(data: Any, most: int, _what: str) -> Any:
        values = np.frombuffer(data, "u1")
        if not len(values) or values[0] != -most % 8:
            raise ValueError("its first byte is not the number of bits that were added")
        return np.unpackbits(values[1:], count=most)

    return Step(undo, lambda size: 1 + (size + 7) // 8, np.dtype("u1"))


def _shuffle(options: Options, where: str) -> Step:
    size = options.get("elementsize", 4)
    if type(size) is not int or not 0 <= size <= 1 << 16:
        raise SourceError(f"{where}: elementsize is {size!r:.50}; allowed are 0 to 65536.")

    def undo(data: Any, _most: int, _what: str) -> Any:
        planes = np.frombuffer(data, "u1").reshape(max(size, 1), -1)
        result = np.empty(planes.size, "u1")
        for number, plane in enumerate(planes):
            result[number :: len(planes)] = plane
        return result

    return Step(undo, lambda size: size)


def _base64(_options: Options, _where: str) -> Step:
    return Step(
        lambda data, _most, _what: base64.b64decode(data, validate=True),
        lambda size: (size + 2) // 3 * 4,
    )


FILTERS: dict[str, Callable[[Options, str], Step]] = {
    "delta": _delta,
    "fixedscaleoffset": _fixed_scale_offset,
    "quantize": _quantize,
    "astype": _astype,
    "packbits": _packbits,
    "shuffle": _shuffle,
    "base64": _base64,
}
"""By the name of a codec: the function of its options that makes a step. Raise `SourceError`."""
