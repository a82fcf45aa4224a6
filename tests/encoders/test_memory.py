"""What a cutout of the largest size takes in each format, view and dtype, as it is served.

The largest size takes minutes and gigabytes: ``BFLY_TEST_LARGE=1`` runs it.
"""

from __future__ import annotations

import math
import os
import sys

import numpy as np
import pytest

from bfly.cutouts.stream import SLAB
from bfly.encoders.blosc import BloscArray
from bfly.encoders.encoder import Encoder
from bfly.encoders.views import VIEWS
from bfly.errors import BadRequest
from bfly.registry import ENCODERS, load
from bfly.testing.memory import SLACK, Case, measured

LIMIT = 512 << 20
"""Bytes: ``max-cutout-size`` unless the configuration says otherwise."""

SIDES = {"u1": 22_000, "u2": 16_000, "u4": 11_500, "u8": 8_192, "f4": 11_500}

NAMES = [name for name in ENCODERS if name not in ("jpg", "tif")]

PICTURES = ("png", "jpeg", "bmp", "tiff", "tiff-stack", "webp")


def encoder_of(name: str) -> type[Encoder]:
    return BloscArray if name == "blosc array" else load("encoders", name)


def kind_of(dtype: str) -> str:
    return "segmentation" if dtype in ("u4", "u8") else "image"


def holds(encoder: type[Encoder], shape: tuple[int, int, int], dtype: str, view: str) -> bool:
    """Return whether a file of the format can hold a cutout."""
    try:
        encoder().check(shape, np.dtype(dtype), view=view, kind=kind_of(dtype))
    except BadRequest:
        return False
    return True


SHOWN = [(name, view) for name in PICTURES for view in VIEWS] + [
    (name, "grayscale") for name in NAMES if name not in PICTURES
]

WHOLE = [
    (name, view, dtype)
    for dtype in SIDES
    for name, view in SHOWN
    if holds(load("encoders", name), (1, SIDES[dtype], SIDES[dtype]), dtype, view)
]


def line(shape: tuple[int, int, int], dtype: str) -> tuple[int, int, int]:
    """Return the shape with its longest side divided by the bytes of a voxel."""
    longest, size = max(shape), np.dtype(dtype).itemsize
    z, y, x = (n // size if n == longest else n for n in shape)
    return z, y, x


LINES = [
    pytest.param(name, line(shape, dtype), dtype, id=f"{name}-shape{number}-{dtype}")
    for dtype in ("u1", "u8")
    for number, shape in enumerate(
        [(1, 1, LIMIT), (LIMIT, 1, 1), (1, LIMIT, 1), (4, 1, LIMIT // 4)]
    )
    for name in (*NAMES, "blosc array")
    if holds(encoder_of(name), line(shape, dtype), dtype, "colormap")
]

large = pytest.mark.skipif(
    os.environ.get("BFLY_TEST_LARGE") != "1", reason="BFLY_TEST_LARGE is not 1"
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports peak memory")


def check_peaks(encoder: type[Encoder], shape: tuple[int, int, int], dtype: str, view: str) -> None:
    """Encode a cutout as it is served: whole, or in slabs, of which one is held besides."""
    made, kind = encoder(), kind_of(dtype)
    part = SLAB if encoder.streams else None
    cases = [Case(shape, dtype, view, kind, part, smooth) for smooth in (False, True)]
    stated = made.memory(shape, np.dtype(dtype), view=view, kind=kind, part=part)
    voxels = math.prod(shape) * np.dtype(dtype).itemsize if part is None else 0
    for case in cases:
        try:
            (peak,) = measured(encoder, [case])
        except RuntimeError as error:
            if "bfly.errors.BadRequest" not in str(error):
                raise
            peak = 0  # labels that are too varied for a format
        print(
            f"{encoder.__name__} {view} {dtype} {case.smooth=} {peak >> 20} of {stated >> 20} MiB"
        )
        assert peak <= stated + SLACK
        assert voxels + peak <= 2 * LIMIT + 2 * SLACK


@large
@pytest.mark.parametrize(("name", "view", "dtype"), WHOLE)
def test_a_section_of_the_largest_size(name: str, view: str, dtype: str) -> None:
    check_peaks(load("encoders", name), (1, SIDES[dtype], SIDES[dtype]), dtype, view)


@large
@pytest.mark.parametrize(("name", "shape", "dtype"), LINES)
def test_a_line_of_the_largest_size(name: str, shape: tuple[int, int, int], dtype: str) -> None:
    check_peaks(encoder_of(name), shape, dtype, "colormap")


@large
@pytest.mark.parametrize("dtype", ["u1", "u8"])
def test_a_pickled_section_of_the_largest_size(dtype: str) -> None:
    check_peaks(BloscArray, (1, SIDES[dtype], SIDES[dtype]), dtype, "grayscale")


def test_colours_of_a_section_take_little_beside_the_file() -> None:
    """16 Mi voxels in strips: three bytes a voxel and a strip, where it was 24 and more."""
    for name in ("png", "jpeg", "bmp", "tiff", "webp"):
        (peak,) = measured(load("encoders", name), [Case((1, 4096, 4096), "u1", "colormap")])
        assert peak < 140 << 20, name


@pytest.mark.parametrize(
    "name", ["png", "jpeg", "bmp", "tiff", "zip", "npy", "npz", "npygz", "n5", "raw"]
)
def test_a_stream_holds_a_strip(name: str) -> None:
    case = Case((1, 4096, 4096), "u4", "colormap", "segmentation", part=4 << 20)
    assert measured(load("encoders", name), [case])[0] < 40 << 20
