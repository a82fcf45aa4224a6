import json

import h5py
import numpy as np
import pytest

from bfly.sources.hdf5.source import HDF5
from bfly.sources.shared.missing_sections import name_gaps, section_gaps


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([0, 1, 2, 3], []),
        ([0, 2, 3], ["at z 1"]),
        ([1, 2], ["at z 0", "at z 3"]),
        ([0], ["at z 1 to 3"]),
        ([-1, 0, 3, 9], ["at z 1 to 2"]),
        ([], ["at z 0 to 3"]),
    ],
)
def test_runs_of_missing_sections_are_told(there: list[int], said: list[str]) -> None:
    assert list(section_gaps(there, 4)) == said


def test_a_number_may_stand_for_several_sections() -> None:
    assert list(section_gaps([0, 2], 3, 8)) == ["at z 8 to 15"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["s1.png", "s2.png", "s10.png", "s11.png"], ["between s2.png and s10.png"]),
        (["s1.png", "s3.png", "s5.png"], []),
        (["a2_s1.png", "a2_s2.png", "a2_s4.png"], []),
        (["a2_s1.png", "a2_s2.png", "a2_s3.png", "a2_s5.png"], ["between a2_s3.png and a2_s5.png"]),
        (["w1_s8.png", "w1_s9.png", "w2_s1.png", "w2_s5.png"], []),
        (["first.png", "s1.png", "s7.png"], []),
        (["only.png"], []),
    ],
)
def test_numbers_that_names_leave_out_are_told(names: list[str], said: list[str]) -> None:
    assert list(name_gaps(names)) == said


def test_files_that_do_not_follow_each_other_leave_a_gap(tmp_path) -> None:
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["main"] = np.ones((4, 8, 8), np.uint8)
    pointer = [{"filename": "a.h5"}, {"filename": "b.h5", "z-offset": 7}]
    (tmp_path / "both.json").write_text(json.dumps(pointer))
    assert list(HDF5.open(str(tmp_path / "both.json")).gaps()) == ["at z 4 to 6"]
    assert list(HDF5.open(str(tmp_path / "a.h5")).gaps()) == []
