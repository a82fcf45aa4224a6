"""Voxels of types that numpy lacks, in every layout, directly and through other files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.hdf5.source import HDF5

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (5, 12, 20)


def integer(size: int, bits: int, at: int = 0, *, signed: bool = False, big: bool = False) -> Any:
    """Return a type of `bits` bits, the lowest of them bit `at` of `size` bytes."""
    stored = (h5py.h5t.STD_I64LE if signed else h5py.h5t.STD_U64LE).copy()
    stored.set_precision(bits)
    stored.set_size(size)
    stored.set_offset(at)
    stored.set_order(h5py.h5t.ORDER_BE if big else h5py.h5t.ORDER_LE)
    return stored


def bfloat16() -> Any:
    stored = h5py.h5t.IEEE_F32LE.copy()
    stored.set_fields(15, 7, 8, 0, 7)
    stored.set_size(2)
    stored.set_ebias(127)
    return stored


TYPES: dict[str, tuple[Any, str]] = {
    "12 bits": (integer(2, 12), "u2"),
    "12 bits at 4": (integer(2, 12, 4), "u2"),
    "12 bits at 4, big": (integer(2, 12, 4, big=True), "u2"),
    "12 bits, signed": (integer(2, 12, signed=True), "i2"),
    "12 bits at 3, signed, big": (integer(2, 12, 3, signed=True, big=True), "i2"),
    "12 bits of 4 bytes": (integer(4, 12, 9, signed=True), "i4"),
    "4 bits": (integer(1, 4, 2), "u1"),
    "24 bits": (integer(3, 24), "u4"),
    "24 bits, signed, big": (integer(3, 24, signed=True, big=True), "i4"),
    "40 bits": (integer(5, 40), "u8"),
    "64 of 128 bits": (integer(16, 64, 8), "u8"),
    "bfloat16": (bfloat16(), "f4"),
}

LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": (2, 8, 8)},
    "gzip": {"chunks": (2, 8, 8), "compression": "gzip"},
    "gzip and shuffle": {"chunks": (2, 8, 8), "compression": "gzip", "shuffle": True},
}


def values(dtype: str, stored: Any) -> NDArray[Any]:
    """Return values over the whole range of a type."""
    random = np.random.default_rng(3)
    if dtype[0] == "f":
        # A bfloat16 is the upper half of a float32.
        bits = random.normal(size=SHAPE).astype("f4").view("u4") & 0xFFFF0000
        return bits.view("f4")
    bits = stored.get_precision() - (dtype[0] == "i")
    low = -(2**bits) if dtype[0] == "i" else 0
    return random.integers(low, 2**bits - 1, SHAPE, dtype, endpoint=True)


def write(
    path: Path, volume: NDArray[Any], stored: Any, name: str = "main", **options: Any
) -> None:
    with h5py.File(path, "a") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if "chunks" in options:
            plist.set_chunk(options["chunks"])
        if "external" in options:
            plist.set_external(options["external"].encode(), 0, h5py.h5f.UNLIMITED)
        if options.get("shuffle"):
            plist.set_shuffle()
        if options.get("compression"):
            plist.set_deflate(4)
        space = h5py.h5s.create_simple(volume.shape)
        dataset = h5py.h5d.create(file.id, name.encode(), stored, space, plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(volume))


def check(path: Path, volume: NDArray[Any]) -> None:
    source = HDF5.open(str(path))
    for box in (BoundingBox.of_shape(SHAPE), BoundingBox((1, 3, 5), (4, 12, 19))):
        found = source.read(0, box)
        assert found.dtype == source.dtype
        assert np.array_equal(found.view(volume.dtype), volume[box.slices])
    assert source.stored_as(0) == ()
    assert not source.reads_at_once(0, source.scales[0].box)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", TYPES)
def test_values_are_those_of_the_type(tmp_path: Path, name: str, layout: str) -> None:
    """Bits are shifted, signs extended and exponents moved, as the HDF5 library does."""
    stored, dtype = TYPES[name]
    volume = values(dtype, stored)
    write(tmp_path / "v.h5", volume, stored, **LAYOUTS[layout])
    check(tmp_path / "v.h5", volume)


@pytest.mark.parametrize("name", TYPES)
def test_values_of_a_virtual_dataset_and_of_external_files(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual dataset may have a wider type than its source."""
    stored, dtype = TYPES[name]
    volume = values(dtype, stored)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "v.h5", volume, stored, external="x.raw")
    check(tmp_path / "v.h5", volume)
    layout = h5py.VirtualLayout(SHAPE, dtype)
    layout[:] = h5py.VirtualSource("v.h5", "main", SHAPE, dtype)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_virtual_dataset("main", layout)
    check(tmp_path / "w.h5", volume)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_doubles_of_another_layout_are_served_as_float32(tmp_path: Path, layout: str) -> None:
    stored = h5py.h5t.IEEE_F64LE.copy()
    stored.set_fields(47, 36, 11, 0, 36)
    stored.set_size(6)
    volume = np.random.default_rng(0).normal(size=SHAPE)
    write(tmp_path / "v.h5", volume, stored, **LAYOUTS[layout])
    with h5py.File(tmp_path / "v.h5") as file:
        expected = file["main"][:].astype("f4")
    source = HDF5.open(str(tmp_path / "v.h5"))
    assert np.array_equal(source.read(0, source.scales[0].box), expected)
    assert source.stored_as(0) == ()


def test_a_virtual_dataset_converts_as_hdf5_does(tmp_path: Path) -> None:
    """Values that do not fit become the nearest that do; they do not wrap."""
    volume = np.random.default_rng(0).integers(-300, 300, SHAPE, "i2")
    write(tmp_path / "a.h5", volume, h5py.h5t.STD_I16LE)
    layout = h5py.VirtualLayout(SHAPE, "u1")
    layout[:] = h5py.VirtualSource("a.h5", "main", SHAPE, "i2")
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_virtual_dataset("main", layout)
    source = HDF5.open(str(tmp_path / "v.h5"))
    with h5py.File(tmp_path / "v.h5") as file:
        expected = file["main"][:]
    assert np.array_equal(source.read(0, source.scales[0].box), expected)
    assert np.array_equal(expected, volume.clip(0, 255))


def test_an_unwritten_chunk_is_the_fill_value(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((2, 8, 8))
        plist.set_fill_value(np.array(-7, "i2"))
        space = h5py.h5s.create_simple(SHAPE)
        h5py.h5d.create(file.id, b"main", integer(2, 12, signed=True), space, plist)
    check(tmp_path / "v.h5", np.full(SHAPE, -7, "i2"))


@pytest.mark.parametrize("dtype", ["u1", ">u2", "i4"])
def test_an_enumeration_is_its_numbers(tmp_path: Path, dtype: str) -> None:
    """Also values without a name."""
    volume = np.random.default_rng(0).integers(0, 9, SHAPE).astype(dtype)
    with h5py.File(tmp_path / "v.h5", "w") as file:
        kind = h5py.enum_dtype({"soma": 1, "axon": 2}, basetype=dtype)
        file.create_dataset("main", data=volume, dtype=kind, chunks=(2, 8, 8))
    source = HDF5.open(str(tmp_path / "v.h5"))
    assert np.array_equal(source.read(0, source.scales[0].box), volume)


def test_an_enumeration_of_24_bits_is_its_numbers(tmp_path: Path) -> None:
    stored = h5py.h5t.enum_create(integer(3, 24))
    stored.enum_insert(b"soma", 1)
    volume = np.ones(SHAPE, "u4")
    with h5py.File(tmp_path / "v.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple(SHAPE)
        dataset = h5py.h5d.create(file.id, b"main", stored, space, plist)
        at = dataset.get_offset()
    with (tmp_path / "v.h5").open("r+b") as raw:
        raw.seek(at)
        raw.write(b"\1\0\0" * volume.size)
    check(tmp_path / "v.h5", volume)


@pytest.mark.parametrize("name", ["STD_B8LE", "STD_B16BE", "STD_B32LE"])
def test_bit_fields_are_unsigned_integers(tmp_path: Path, name: str) -> None:
    stored = getattr(h5py.h5t, name)
    size = stored.get_size()
    volume = np.random.default_rng(0).integers(0, 256**size, SHAPE).astype(f"<u{size}")
    with h5py.File(tmp_path / "v.h5", "w") as file:
        space = h5py.h5s.create_simple(SHAPE)
        dataset = h5py.h5d.create(file.id, b"main", stored, space)
        native = getattr(h5py.h5t, f"STD_B{8 * size}LE")
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, volume, native)
    source = HDF5.open(str(tmp_path / "v.h5"))
    assert np.array_equal(source.read(0, source.scales[0].box), volume)


def _wide() -> Any:
    return integer(16, 100)


def _time() -> Any:
    return h5py.h5t.UNIX_D32LE


def _text() -> Any:
    return h5py.h5t.C_S1.copy()


def _vector() -> Any:
    return h5py.h5t.array_create(h5py.h5t.STD_U8LE, (3,))


REFUSED = {
    _wide: "main holds integers of 100 bits in 16 bytes.*allowed are up to 64 bits",
    _time: "main holds voxels of a type that numpy does not have",
    _text: "allowed are integers of 8 to 64 bits and floats",
    _vector: "allowed are integers of 8 to 64 bits and floats",
}


@pytest.mark.parametrize("stored", REFUSED, ids=lambda make: make.__name__)
def test_types_that_hold_no_numbers_are_refused(tmp_path: Path, stored: Any) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        h5py.h5d.create(file.id, b"main", stored(), h5py.h5s.create_simple(SHAPE))
    with pytest.raises(SourceError, match=rf"v\.h5.*{REFUSED[stored]}"):
        HDF5.open(str(tmp_path / "v.h5"))
