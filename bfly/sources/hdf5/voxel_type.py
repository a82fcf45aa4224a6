"""Types of HDF5 voxels, and reading them through the library's own conversion.

HDF5 has integers of any number of bits at any offset in their bytes, and floats of any layout
(HDF5 File Format Specification 3.0, IV.A.2.d). numpy has few of these. The others must not be
read as bytes: only the library moves the bits, extends the sign and adjusts exponents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import h5py
import numpy as np

from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["VoxelType", "fill_of", "read_box", "voxel_type"]

INTEGERS = (1, 2, 4, 8)
"""Bytes of the integers that numpy has."""

ORDERS = (h5py.h5t.ORDER_LE, h5py.h5t.ORDER_BE, h5py.h5t.ORDER_NONE)
"""Byte orders that numpy has."""

FLOATS = tuple(
    getattr(h5py.h5t, f"IEEE_F{bits}{order}") for bits in (16, 32, 64) for order in ("LE", "BE")
)
"""Floats that numpy has."""

BITS = tuple(
    getattr(h5py.h5t, f"STD_B{bits}{order}") for bits in (8, 16, 32, 64) for order in ("LE", "BE")
)
"""Bit fields without unused bits, which h5py reads as unsigned integers."""


class VoxelType(NamedTuple):
    """The type of a dataset's voxels.

    Parameters
    ----------
    dtype : numpy.dtype
        A dtype that holds every value exactly.
    is_plain : bool
        Whether the stored bytes are voxels of `dtype`. Otherwise `read_box` converts them.
    """

    dtype: np.dtype[Any]
    is_plain: bool


def voxel_type(dataset: Any, path: str) -> VoxelType:
    """Return the type of the voxels of an open dataset.

    Parameters
    ----------
    dataset : h5py.Dataset
        The dataset.
    path : str
        The file, for messages.

    Raises
    ------
    SourceError
        No dtype holds all values of the type.
    """
    stored = dataset.id.get_type()
    values = stored.get_super() if stored.get_class() == h5py.h5t.ENUM else stored
    kind = values.get_class()
    if kind == h5py.h5t.INTEGER and not _is_numpys(values):
        return VoxelType(_integer(values, f"{path}: {dataset.name}"), is_plain=False)
    try:
        dtype = np.dtype(dataset.dtype)
    except (TypeError, ValueError, LookupError) as error:
        raise SourceError(
            f"{path}: {dataset.name} holds voxels of a type that numpy does not have: {error}."
        ) from error
    if kind == h5py.h5t.FLOAT and values not in FLOATS and dtype.itemsize <= 8:
        return VoxelType(np.dtype("f4" if dtype.itemsize <= 4 else "f8"), is_plain=False)
    if kind == h5py.h5t.BITFIELD and values not in BITS:
        raise SourceError(
            f"{path}: {dataset.name} holds bit fields with unused bits; allowed are those of 8, "
            "16, 32 and 64 bits, and integers."
        )
    return VoxelType(dtype, is_plain=True)


def read_box(dataset: Any, box: Sequence[slice], dtype: np.dtype[Any]) -> Voxels:
    """Read a box of an open dataset with the library, converted to `dtype`.

    Parameters
    ----------
    dataset : h5py.Dataset
        The dataset.
    box : sequence of slice
        Start and stop along each axis, inside the dataset.
    dtype : numpy.dtype
        As `voxel_type` returns it, for this dataset or for one that is made of it.

    Raises
    ------
    OSError, RuntimeError, TypeError, ValueError
        The library cannot read or convert the voxels.
    """
    counts = tuple(side.stop - side.start for side in box)
    voxels = np.empty(counts, dtype)
    space = dataset.id.get_space()
    space.select_hyperslab(tuple(side.start for side in box), counts)
    dataset.id.read(h5py.h5s.create_simple(counts), space, voxels, h5py.h5t.py_create(dtype))
    return voxels


def fill_of(plist: Any, dtype: np.dtype[Any]) -> Voxels:
    """Return the fill value of a dataset, from its creation properties, as a `dtype` scalar."""
    value = np.zeros((), dtype)
    plist.get_fill_value(value)
    return value


def _is_numpys(stored: Any) -> bool:
    """Return whether numpy has an integer type: all bits of whole bytes are its value."""
    size = stored.get_size()
    has_all_bits = stored.get_precision() == 8 * size and stored.get_offset() == 0
    return bool(size in INTEGERS and has_all_bits and stored.get_order() in ORDERS)


def _integer(stored: Any, what: str) -> np.dtype[Any]:
    """Return the dtype of integers that numpy lacks; `what` names the dataset in the message.

    It has as many bytes as are stored, if numpy has such an integer, as in h5py.
    """
    bits, size = stored.get_precision(), stored.get_size()
    wide = next(n for n in INTEGERS if n >= size or n == INTEGERS[-1])
    if bits > 8 * wide or stored.get_order() not in ORDERS:
        raise SourceError(
            f"{what} holds integers of {bits} bits in {size} bytes, which numpy does not have; "
            "allowed are up to 64 bits, little-endian or big-endian."
        )
    return np.dtype(f"{'i' if stored.get_sign() == h5py.h5t.SGN_2 else 'u'}{wide}")
