"""Memory that is lent again: never while an array refers to it, and within a bound."""

from __future__ import annotations

import numpy as np

from bfly.cutouts.buffer_pool import KEPT, SMALLEST, BufferPool

SHAPE = (64, 256, 512)
LABEL = np.dtype(np.uint64)


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_the_memory_of_an_array_that_is_gone_is_used_again() -> None:
    blocks = BufferPool()
    array = blocks.empty(SHAPE, LABEL)
    assert (array.shape, array.dtype, array.flags.writeable) == (SHAPE, LABEL, True)
    before = address(array)
    del array
    assert address(blocks.empty((128, 256, 256), LABEL)) == before


def test_memory_is_not_lent_again_while_a_view_of_it_lives() -> None:
    blocks = BufferPool()
    array = blocks.empty(SHAPE, LABEL)
    array[...] = 7
    corner, buffer = array[1:3, 2:4].T.view(np.int64), memoryview(array[5])
    del array
    other = blocks.empty(SHAPE, LABEL)
    other[...] = 1
    assert (corner == 7).all()
    assert (np.asarray(buffer) == 7).all()
    assert not np.shares_memory(corner, other)


def test_two_arrays_never_share_memory() -> None:
    blocks = BufferPool()
    arrays = [blocks.empty(SHAPE, LABEL) for _ in range(3)]
    del arrays[1]
    arrays.append(blocks.empty(SHAPE, LABEL))
    arrays.append(blocks.empty(SHAPE, LABEL))
    for i, array in enumerate(arrays):
        array[...] = i
    assert [array.max() for array in arrays] == [0, 1, 2, 3]


def test_a_block_far_too_large_is_left_for_others() -> None:
    blocks = BufferPool()
    large = blocks.empty(SHAPE, LABEL)
    before = address(large)
    del large
    assert address(blocks.empty((8, 256, 512), LABEL)) != before


def test_what_is_kept_is_bounded() -> None:
    blocks = BufferPool()
    arrays = [blocks.empty(SHAPE, LABEL) for _ in range(4)]
    assert sum(array.nbytes for array in arrays) > KEPT
    arrays.clear()
    assert KEPT // 2 < sum(block.nbytes for block in blocks._free) <= KEPT


def test_small_arrays_are_none_of_its_business() -> None:
    blocks = BufferPool()
    array = blocks.empty((1, 1, SMALLEST - 1), np.dtype(np.uint8))
    assert array.nbytes == SMALLEST - 1
    del array
    assert not blocks._free
