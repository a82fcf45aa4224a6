import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.encoders.strips import SMALL, joined, strips, trimmed


@given(st.lists(st.integers(0, 12), min_size=1, max_size=3), st.integers(1, 300))
def test_strips_are_the_array_in_c_order(shape, most):
    array = np.arange(np.prod(shape)).reshape(shape)
    parts = [array[box] for box in strips(shape, most)]
    assert all(part.size <= most for part in parts)
    assert np.array_equal(np.concatenate([np.ravel(part) for part in parts] or [[]]), array.ravel())


def test_rows_are_divided_only_where_one_is_too_large():
    assert [*strips((2, 5, 10), 20)] == [
        (slice(z, z + 1), slice(y, min(5, y + 2)), slice(0, 10)) for z in (0, 1) for y in (0, 2, 4)
    ]
    assert next(strips((1, 2, 10), 7)) == (slice(0, 1), slice(0, 1), slice(0, 7))


@pytest.mark.parametrize("most", [10, SMALL + 10])
def test_parts_are_joined(most):
    parts = [b"ab", memoryview(b"cde"), b"", b"f"]
    assert bytes(joined(parts, most)) == b"abcdef"


def test_what_hardly_fills_a_buffer_does_not_keep_it():
    buffer = np.zeros(100, np.uint8).data
    assert isinstance(trimmed(buffer, 40), bytes)
    assert trimmed(buffer, 60).obj is buffer.obj
