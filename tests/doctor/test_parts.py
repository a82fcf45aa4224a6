"""Other volumes in the file of a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np

from bfly.doctor.parts import parts
from bfly.doctor.subject import Subject
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path


def found(path: str, experiments: str = "") -> list[str]:
    subject = Subject("em", experiments, Volume.open(ChannelSpec(path)))
    return [f"{finding.message} {finding.remedy}" for finding in parts(subject)]


def test_other_volumes_are_named(tmp_path: Path) -> None:
    path = str(tmp_path / "v.h5")
    with h5py.File(path, "w") as file:
        for name in ("a", "main", *map(str, range(7))):
            file[name] = np.zeros((2, 3, 4), "u1")
    (text,) = found(path)
    assert text == (
        "There are 8 other volumes in it: 0, 1, 2, 3, 4, …. "
        f"Add a channel for each that is wanted, such as path: {path}#0."
    )
    assert not found(f"{path}#a")
    assert not found(path, str(tmp_path))


def test_one_volume_is_not_reported(tmp_path: Path) -> None:
    path = str(tmp_path / "v.h5")
    with h5py.File(path, "w") as file:
        file["raw"] = np.zeros((2, 3, 4), "u1")
    assert not found(path)
