"""Positions that files state, in whole voxels."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from bfly.sources.shared.place import Position, index_position, whole_voxels
from bfly.sources.shared.voxel_size import stated_place


@pytest.mark.parametrize(
    ("attributes", "axes", "place"),
    [
        ({"offset": [400, 40, 40], "resolution": [40, 4, 4]}, (0, 1, 2), (10, 10, 10)),
        ({"offset": np.array([400.0, 40, 40]), "voxel_size": [40, 4, 4]}, (0, 1, 2), (10, 10, 10)),
        ({"offset": [40, 4, 400], "resolution": [4, 4, 40]}, (2, 1, 0), (10, 1, 10)),
        ({"offset": [-8, 4, 0], "resolution": [4, 4, 4]}, (0, 1, 2), (-2, 1, 0)),
        # The unit counts for both, whichever it is.
        ({"offset": [0.4, 0, 0], "resolution": [0.04] * 3, "units": ["um"] * 3}, (0, 1, 2), (10,)),
        # A channel axis has no length of its own, or one that is not used.
        ({"offset": [400, 40, 8], "resolution": [40, 4, 4]}, (1, 2, 3), (10, 10, 2)),
        ({"offset": [0, 400, 40, 8], "resolution": [1, 40, 4, 4]}, (1, 2, 3), (10, 10, 2)),
        ({"element_size_um": [0.04, 0.004, 0.004], "offset": [40, 4, 4]}, (0, 1, 2), (1, 1, 1)),
        ({"resolution": [40, 4, 4]}, (0, 1, 2), (0, 0, 0)),
        ({"offset": "start", "resolution": [4, 4, 4]}, (0, 1, 2), (0, 0, 0)),
        ({"offset": 3}, (0, 1, 2), (0, 0, 0)),
    ],
)
def test_an_offset(
    attributes: dict[str, Any],
    axes: tuple[int, ...],
    place: tuple[int, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = whole_voxels("file", stated_place(attributes, axes))
    assert found == (*place, 0, 0)[:3]
    assert not caplog.messages


def test_an_offset_without_a_size_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    attributes = {"offset": [400, 40, 40]}
    assert whole_voxels("file", stated_place(attributes)) == (400, 40, 40)
    assert (
        "file: it states an offset but no resolution; the offset is taken for voxels."
        in caplog.text
    )
    assert whole_voxels("file", stated_place(attributes, otherwise=(40, 4, 4))) == (10, 10, 10)
    assert "the offset is taken for nanometres." in caplog.text


def test_a_point_is_in_the_first_voxel(caplog: pytest.LogCaptureFixture) -> None:
    """Programs state its centre (x.5), or its corner."""
    for values in ((10.0, 3.5, -2.5), (9.9999999, 3.5, -2.5)):
        assert whole_voxels("file", Position(values, "there", is_point=True)) == (10, 3, -3)
    assert not caplog.messages
    assert whole_voxels("file", Position((10, 3.75, 0), "there", is_point=True)) == (10, 3, 0)
    assert "file: there puts the first voxel at (10, 3.75, 0) voxels (zyx)" in caplog.text


def test_a_rest_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert whole_voxels("file", Position((1.4, 2.5, 3.9), "there")) == (1, 2, 4)
    assert (
        "at (1.4, 2.5, 3.9) voxels (zyx), which is no whole voxel; it is served at (1, 2, 4)"
        in (caplog.text)
    )


def test_numbers_of_32_bits_are_no_rest(caplog: pytest.LogCaptureFixture) -> None:
    voxels = np.float32(123457 * 0.0043) / np.float32(0.0043)
    assert whole_voxels("file", Position((float(voxels), 0, 0), "there")) == (123457, 0, 0)
    assert not caplog.messages


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_reported(value: float, caplog: pytest.LogCaptureFixture) -> None:
    assert whole_voxels("file", Position((value, 0, 0), "there")) == (0, 0, 0)
    assert "is not three numbers; it is ignored" in caplog.text


def test_directions(caplog: pytest.LogCaptureFixture) -> None:
    straight = index_position((8, 10, 60), np.diag([4, 5, 30]).tolist(), "origin")
    assert whole_voxels("file", straight) == (2, 2, 2)
    assert not caplog.messages
    # Both are turned alike: the second begins 3, 2 and 1 voxels (x, y, z) behind the first.
    steps = np.array([[0, -4.0, 0], [5.0, 0, 0], [0, 0, 30.0]])
    first, second = ((7.0, 8.0, 90.0), np.array([7.0, 8.0, 90.0]) + [3, 2, 1] @ steps)
    at = [whole_voxels("file", index_position(o, steps.tolist(), "o")) for o in (first, second)]
    assert np.array_equal(np.subtract(*at[::-1]), (1, 2, 3))
    assert "file: its axes are turned in space" in caplog.text
    assert index_position((1, 2, 3), [[1, 0, 0], [2, 0, 0], [0, 0, 1]], "origin") is None
