import itertools
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.shared.contiguous import GAP, ROWS, Flat
from bfly.testing.volumes import boxes, random_volume

SHAPE = (5, 40, 133)


def read(flat: Flat, fd: int, box: BoundingBox):
    """Read into the midst of something larger, and see that nothing else of it changes."""
    assert flat.dtype == flat.stored.newbyteorder("<")
    around = np.full([n + 2 for n in box.shape], 77, flat.dtype)
    flat.read_into(fd, box, around[1:-1, 1:-1, 1:-1])
    voxels = flat.read(fd, box)
    assert voxels.flags.c_contiguous
    np.testing.assert_array_equal(around, np.pad(voxels, 1, constant_values=77))
    return voxels


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("dtype", ["uint8", ">u2"])
def test_a_box_of_any_order_of_axes(tmp_path, order, dtype):
    volume = random_volume(SHAPE, np.dtype(dtype).newbyteorder("=")).astype(dtype)
    path = tmp_path / "voxels"
    path.write_bytes(b"header" + np.ascontiguousarray(volume.transpose(order)).tobytes())
    flat = Flat(str(path), SHAPE, volume.dtype, 6, order)
    assert flat.end == path.stat().st_size
    fd = os.open(path, os.O_RDONLY)

    @settings(max_examples=40, deadline=None)
    @given(boxes(SHAPE))
    def check(box):
        inside = box & BoundingBox.of_shape(SHAPE)
        if inside.size:
            got = read(flat, fd, inside)
            np.testing.assert_array_equal(got, volume[inside.slices])

    check()
    os.close(fd)


def test_sections_apart(tmp_path):
    volume = random_volume((4, 6, 7), "uint16")
    path = tmp_path / "voxels"
    path.write_bytes(b"".join(b"page" + volume[z].tobytes() for z in (2, 0, 3, 1)))
    at = {z: 4 + i * 88 for i, z in enumerate((2, 0, 3, 1))}
    flat = Flat(str(path), volume.shape, volume.dtype, sections=tuple(at[z] for z in range(4)))
    assert flat.end == path.stat().st_size
    with open(path, "rb") as file:
        for box in (BoundingBox((0, 0, 0), volume.shape), BoundingBox((1, 2, 3), (4, 5, 6))):
            np.testing.assert_array_equal(read(flat, file.fileno(), box), volume[box.slices])


def test_a_file_cut_short_fails_where_it_is_short(tmp_path):
    volume = random_volume((4, 6, 7), "uint8")
    path = tmp_path / "voxels"
    path.write_bytes(volume.tobytes()[:-1])
    flat = Flat(str(path), volume.shape, volume.dtype)
    with open(path, "rb") as file:
        box = BoundingBox((0, 0, 0), (3, 6, 7))
        np.testing.assert_array_equal(read(flat, file.fileno(), box), volume[:3])
        with pytest.raises(SourceError, match=r"voxels is truncated"):
            read(flat, file.fileno(), BoundingBox((3, 0, 0), (4, 6, 7)))


@given(st.tuples(*[st.integers(1, 5000)] * 3), st.permutations(range(3)))
def test_what_is_read_at_once_is_rows_and_no_more_than_a_mebivoxel(shape, order):
    chunk = Flat("", shape, np.dtype("u1"), order=tuple(order)).chunk
    assert all(1 <= c <= n for c, n in zip(chunk, shape, strict=True))
    assert np.prod(chunk) <= np.prod(ROWS)
    assert chunk[order[2]] == min(shape[order[2]], ROWS[2])


@pytest.mark.parametrize("width", [64, GAP, GAP + 63, GAP + 64, GAP + 65])
def test_rows_close_together_and_far_apart(tmp_path, width):
    volume = random_volume((2, 5, width), "uint8")
    path = tmp_path / "voxels"
    path.write_bytes(volume.tobytes())
    flat = Flat(str(path), volume.shape, volume.dtype)
    with open(path, "rb") as file:
        for box in (
            BoundingBox((0, 1, 0), (2, 4, 64)),
            BoundingBox((1, 0, width - 64), (2, 5, width)),
        ):
            np.testing.assert_array_equal(read(flat, file.fileno(), box), volume[box.slices])


@pytest.mark.parametrize(
    ("row", "width", "order", "direct"),
    [
        (64, 1024, (0, 1, 2), True),  # the rows lie close together
        (512, 100_000, (0, 1, 2), True),  # they are long
        (256, 100_000, (0, 1, 2), False),
        (1, 1024, (0, 1, 2), False),  # a section along x
        (512, 1024, (2, 1, 0), False),  # which z is here
    ],
)
def test_a_box_is_read_as_it_is_where_little_else_is_read(row, width, order, direct):
    flat = Flat("", (1024, 1024, width), np.dtype("u1"), order=order)
    assert flat.reads_at_once(BoundingBox.of_shape((1, 512, row), (9, 8, 0))) is direct
