"""Axes by name: z, y and x of a volume, and the others, which select it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from bfly.errors import SourceError
from bfly.sources.shared.axes import PARTS, axes_of, parts_along
from bfly.storage.part import WHOLE, Part


@pytest.mark.parametrize(
    ("names", "shape", "zyx"),
    [
        ("zyx", (2, 3, 4), (0, 1, 2)),
        ("XYZ", (2, 3, 4), (2, 1, 0)),
        ("xy", (2, 3), (1, 0)),
        ("cyx", (2, 3, 4), (1, 2)),
        (["channel", "row", "column"], (2, 3, 4), (1, 2)),
        (["t", "plane", "y", "x"], (2, 3, 4, 5), (1, 2, 3)),
        (["plane", "row", "column"], (2, 3, 4), (0, 1, 2)),
        (["angle", "x", "y", "z"], (2, 3, 4, 5), (3, 2, 1)),
        ("", (3, 4), (0, 1)),
        ("", (1, 2, 3, 4), (1, 2, 3)),
        ("", (2, 3, 4, 1), (0, 1, 2)),
        ("", (1, 1, 3, 4), (0, 2, 3)),
        ("zyx", (1, 2, 3, 4), (1, 2, 3)),
    ],
)
def test_which_axes_are_z_y_and_x(names: Any, shape: tuple[int, ...], zyx: tuple[int, ...]) -> None:
    assert axes_of(names, shape, "a").zyx == zyx


@pytest.mark.parametrize(
    ("names", "shape", "part", "reason"),
    [
        ("", (2, 3, 4, 5), "", r"2 x 3 x 4 x 5 voxels; allowed are three.* a#c=0 is one volume"),
        ("", (2, 3, 4, 5, 6), "", r" a#c=0,t=0 is one volume.* on the first 2 axes"),
        ("", (2, 3, 4, 5, 6), "c=1", r"2 x 3 x 4 x 5 x 6 voxels"),
        ("", (7,), "", r"axes of 7 voxels"),
        ("", (2, 0, 3), "", r"none empty"),
        ("cx", (2, 3), "", r"Names are c, x"),
        ("ccyx", (1, 2, 3, 4), "", r"axes c, c, y, x; allowed is one of each"),
        ("czyx", (2, 3, 4, 5), "c=2", r"c is 2; allowed are 0 to 1"),
        ("czyx", (2, 3, 4, 5), "t=0", r"no axis t for t=0; it has c of 2"),
        ("zyx", (2, 3, 4), "z=1", r"no axis z for z=1; it has none"),
        ("zyx", (2, 3, 4), "raw", r"no part raw"),
    ],
)
def test_what_is_refused(names: str, shape: tuple[int, ...], part: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        axes_of(names, shape, "a", Part.parse(part))


def test_a_part_names_the_first_axes_without_a_name() -> None:
    axes = axes_of("", (2, 3, 4, 5, 6), "a", Part.parse("t=1,c=2"))
    assert (axes.zyx, axes.at, axes.lengths) == ((2, 3, 4), {0: 1, 1: 2}, {"c": 3, "t": 2})
    axes = axes_of("", (6, 5, 4, 3), "a", Part.parse("c=2"), x_first=True)
    assert (axes.zyx, axes.at) == ((2, 1, 0), {3: 2})


def test_a_part_may_say_that_times_are_sections() -> None:
    axes = axes_of("tcyx", (5, 2, 3, 4), "a", Part.parse("z=t,c=1"))
    assert (axes.zyx, axes.at, axes.lengths) == ((0, 2, 3), {1: 1}, {"c": 2})
    for names, text in (("tzyx", "z=t"), ("tyx", "z=c"), ("tyx", "z=y")):
        with pytest.raises(SourceError):
            axes_of(names, (5, 2, 3, 4)[-len(names) :], "a", Part.parse(text))


def test_many_times_are_not_many_channels(caplog: pytest.LogCaptureFixture) -> None:
    assert parts_along({}, "a") == [WHOLE]
    few = parts_along({"c": 2, "t": 2}, "a")
    assert [str(part) for part in few] == ["", "c=1", "t=1", "c=1,t=1"]
    with caplog.at_level(logging.WARNING):
        parts = parts_along({"c": 3, "t": 10**18}, "a")
    assert len(parts) == len(set(parts)) == PARTS
    assert [str(part) for part in parts[:4]] == ["", "c=1", "c=2", "t=1"]
    assert f"the first {PARTS} are listed" in caplog.text
    assert "a#c=2,t=999999999999999999" in caplog.text
