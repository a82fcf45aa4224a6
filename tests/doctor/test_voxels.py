from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bfly.doctor import voxels
from bfly.doctor.subject import Subject
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path


def subject(folder: Path, dtype: str, kind: str, *values: int) -> Subject:
    np.save(folder / "v.npy", np.array([[values]], dtype))
    return Subject("v", "", Volume.open(ChannelSpec(str(folder / "v.npy"), kind=kind)))


@pytest.mark.parametrize(
    ("dtype", "kind", "refusing"),
    [
        (
            "int64",
            "segmentation",
            "precomputed, compressed_segmentation, BossDB have no such int64",
        ),
        ("int32", "segmentation", "compressed_segmentation, BossDB have no such int32"),
        ("int64", "image", "precomputed, BossDB have no such int64"),
        ("int32", "image", ""),
        ("int16", "image", ""),
    ],
)
def test_negative_voxels_that_are_refused_are_told(
    tmp_path: Path, dtype: str, kind: str, refusing: str
) -> None:
    found = list(voxels.negative(subject(tmp_path, dtype, kind, -1000, 0, 5)))
    assert [refusing in finding.message for finding in found] == [True] * bool(refusing)
    assert all("down to -1,000" in finding.message for finding in found)
    assert not list(voxels.negative(subject(tmp_path, dtype, kind, 0, 5)))


@pytest.mark.parametrize(("dtype", "most"), [("int16", 32_767), ("uint16", 65_535)])
def test_labels_near_the_end_of_their_dtype_are_told(tmp_path: Path, dtype: str, most: int) -> None:
    (finding,) = voxels.narrow(subject(tmp_path, dtype, "segmentation", 1, 5, most))
    assert f"{dtype} holds no more than {most:,}" in finding.message


@pytest.mark.parametrize(("dtype", "told"), [("f2", False), ("f4", False), ("f8", True)])
def test_floats_that_are_rounded_are_told(tmp_path: Path, dtype: str, told: bool) -> None:
    found = list(voxels.rounded(subject(tmp_path, dtype, "image", 1, 5)))
    assert ["float64 in the file" in finding.message for finding in found] == [True] * told
