from __future__ import annotations

import numpy as np
import pytest

from bfly.doctor.sample import AT_LEAST, AT_MOST, samples_of
from bfly.errors import SourceError
from bfly.geometry import BoundingBox, Scale
from bfly.sources.source import Datasource
from bfly.testing.volumes import random_volume


class Noted(Datasource):
    """Voxels in memory, and what is read of them."""

    name = "noted"
    voxels = random_volume((40, 600, 700), "uint8")

    @classmethod
    def guess_can_open(cls, path: str) -> bool:
        return True

    def _open(self) -> None:
        self.dtype = self.voxels.dtype
        self.scales = {0: Scale(self.voxels.shape, (8, 64, 64))}
        self.boxes: list[BoundingBox] = []

    def _read_inside(self, mip: int, box: BoundingBox):
        self.boxes.append(box)
        return self.voxels[box.slices]


class Empty(Noted):
    voxels = np.zeros((40, 600, 700), np.uint8)


class Damaged(Noted):
    def _read_inside(self, mip: int, box: BoundingBox):
        super()._read_inside(mip, box)
        raise SourceError("its end is missing")


def test_corners_are_looked_at_and_no_more_tiles_than_enough() -> None:
    source = Noted("em")
    samples = samples_of(source)
    assert len(samples) == AT_LEAST
    assert {box.shape for box in source.boxes} == {(1, 512, 512)}
    first, last = source.boxes[:2]
    assert (first.start, last.stop) == ((0, 0, 0), (40, 600, 700))


@pytest.mark.parametrize("kind", [Empty, Damaged])
def test_what_shows_nothing_is_looked_at_longer_but_not_for_ever(kind: type[Noted]) -> None:
    source = kind("em")
    assert len(samples_of(source)) == AT_MOST == len(source.boxes)


def test_what_cannot_be_read_has_its_reason() -> None:
    assert {sample.error for sample in samples_of(Damaged("em"))} == {"its end is missing"}
