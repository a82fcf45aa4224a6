from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import h5py
import nibabel
import numpy as np
import pytest

from bfly.doctor import viewing
from bfly.doctor.subject import Subject
from bfly.jobs.pyramid import Task, do, pieces
from bfly.storage.files import Files
from bfly.testing.volumes import random_volume
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.pyramid_store import Pyramids
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path


def subject(path: Path, **options: object) -> Subject:
    return Subject("em", "my data", Volume.open(ChannelSpec(str(path)), **options))


def hdf5(path: Path, shape: tuple[int, ...], chunks: tuple[int, ...]) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("main", shape, "uint8", chunks=chunks)
    return path


@pytest.mark.parametrize(
    ("chunks", "planes", "said"),
    [
        ((64, 64, 64), ["xy", "xz", "yz"], ""),
        ((1, 512, 512), ["xy"], ""),
        ((1, 8192, 8192), ["xy"], ""),
        ((512, 2048, 1024), [], "takes 1 GiB of voxels to decode"),
        ((64, 1, 8), ["xz", "yz"], "takes 32,768 chunks"),
    ],
)
def test_chunks_suit_planes_or_not(
    chunks: tuple[int, ...], planes: list[str], said: str, tmp_path: Path
) -> None:
    found = subject(hdf5(tmp_path / "em.h5", (1024, 8192, 8192), chunks))
    assert viewing.planes(found) == planes
    messages = [finding.message for finding in viewing.chunks(found)]
    assert [said in message for message in messages] == [True] * bool(said)


def test_a_large_volume_without_mips_is_told_until_they_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "em.h5"
    with h5py.File(path, "w") as file:
        volume = random_volume((32, 256, 256), "uint8")
        file.create_dataset("main", data=volume, chunks=(16, 64, 64))
    kept = str(tmp_path / "kept")

    def found() -> list[tuple[str, str]]:
        opened = subject(path, pyramids=Pyramids(kept, 1 << 30))
        return [(each.message, each.remedy) for each in viewing.mips(opened)]

    assert found() == []
    monkeypatch.setattr(viewing, "WHOLE", 1 << 20)
    ((message, remedy),) = found()
    assert "the first look at the whole of it reads 2 MiB" in message
    assert remedy == "bfly pyramid em -e 'my data'"
    task = Task(ChannelSpec(str(path)), ("/",), 1 << 20, kept, 1 << 30)
    for piece in pieces(task.open()):
        do(task, piece)
    assert found() == []


def test_what_is_packed_from_end_to_end_is_told(tmp_path: Path) -> None:
    plain, packed = tmp_path / "em.nii", tmp_path / "em.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.uint8), np.eye(4)), plain)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    (finding,) = viewing.packing(subject(packed))
    assert finding.remedy == f"gunzip -k {packed}"
    assert list(viewing.packing(subject(plain, files=Files()))) == []
