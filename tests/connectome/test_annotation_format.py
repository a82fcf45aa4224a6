"""Parts of an annotation; whole answers are in ``tests/protocols/test_annotations.py``."""

from __future__ import annotations

import numpy as np
import pytest

from bfly.connectome.annotation_format import Schema, number_type
from bfly.tables.columns import empty


@pytest.mark.parametrize(
    ("dtype", "span", "expected"),
    [
        ("float64", (0, 1), "float32"),
        ("bool", (0, 1), "uint8"),
        ("int16", (0, 1), "int16"),
        ("uint32", (0, 1), "uint32"),
        ("int64", (0, 2**32 - 1), "uint32"),
        ("uint64", (0, 2**32 - 1), "uint32"),
        ("int64", (-1, 2**31 - 1), "int32"),
        ("int64", (-1, 2**31), None),
        ("uint64", (0, 2**32), None),
        ("object", (0, 1), None),
    ],
)
def test_numbers_have_the_type_that_holds_them(dtype, span, expected):
    assert number_type(np.empty(0, dtype), span) == expected


def test_identifiers_are_as_the_format_wants_them_and_differ():
    names = ["Score", "score", "a b", "a-b", "2nd", "_x", "é", ""]
    columns = {**empty("synapse"), **{name: np.empty(0, np.float32) for name in names}}
    found = {prop.column: prop.id for prop in Schema.of(columns, {}).properties}
    assert found == {
        "Score": "score",
        "score": "score_2",
        "a b": "a_b",
        "a-b": "a_b_2",
        "2nd": "c2nd",
        "_x": "c_x",
        "é": "c_",
        "": "c",
    }


def test_one_end_makes_no_line():
    ends = {f"pre_{axis}": np.zeros(1, np.float32) for axis in "zyx"}
    schema = Schema.of({**empty("synapse"), **ends}, {})
    assert not schema.lines
    assert [prop.id for prop in schema.properties] == ["pre_z", "pre_y", "pre_x"]
