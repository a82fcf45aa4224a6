"""A file that is replaced by a link out of the allowed folders, and back, while it is read.

`BFLY_TEST_RACES` is how many reads there are of each kind, 1,000 unless it says more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import zarr

from bfly.errors import ButterflyError
from bfly.geometry import BoundingBox
from bfly.sources.hdf5.source import HDF5
from bfly.sources.npy import Npy
from bfly.sources.zarr.source import Zarr
from bfly.storage import opening
from bfly.storage.files import Files, read_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

READS = int(os.environ.get("BFLY_TEST_RACES", "1000"))

LONGEST = 60 + READS / 100
"""Seconds in which a read of each outcome has to have come about."""

SHAPE = (4, 16, 16)

INSIDE, OUTSIDE = 1, 255
"""The voxels of what may be read, and of what may not."""

SWAP = """
import os, sys
place, aside, secret = sys.argv[1:]
print("ready", flush=True)
while os.getppid() != 1:
    os.rename(place, aside)
    os.symlink(secret, place)
    os.unlink(place)
    os.rename(aside, place)
    for _ in range(int.from_bytes(os.urandom(1))):
        pass
"""


@contextmanager
def swapped(place: Path, secret: Path) -> Iterator[None]:
    """Run a process that puts a link in a place and takes it away, all the time."""
    words = [sys.executable, "-c", SWAP, str(place), f"{place}.aside", str(secret)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            process.kill()


def leaks(read: Callable[[], bool]) -> int:
    """Read until both outcomes were seen; `read` returns whether it got what is outside."""
    found = good = refused = reads = 0
    end = time.monotonic() + LONGEST
    while (reads < READS or not good or not refused) and time.monotonic() < end:
        reads += 1
        try:
            outside = read()
        except (ButterflyError, FileNotFoundError):
            refused += 1
        else:
            found, good = found + outside, good + (not outside)
    assert reads >= READS
    assert good
    assert refused
    return found


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("how", ["whole", "kept", "step by step"])
def test_a_file(allowed: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "step by step":
        monkeypatch.setattr(opening, "HAS_PROC", False)
    place, secret = allowed / "file", allowed.parent / "secret"
    place.write_bytes(b"public")
    secret.write_bytes(b"secret")
    files = Files([str(allowed)])

    def read() -> bool:
        if how != "kept":
            return files.read_bytes(str(place)) == b"secret"
        with files.open(str(place)) as (fd, _):
            return read_exactly(fd, 6, 0, str(place)) == b"secret"

    with swapped(place, secret):
        assert leaks(read) == 0


def test_a_folder_on_the_way_to_a_file(allowed: Path) -> None:
    place, secret = allowed / "folder", allowed.parent / "secret"
    for folder, text in ((place, b"public"), (secret, b"secret")):
        folder.mkdir()
        (folder / "file").write_bytes(text)
    files = Files([str(allowed)])
    with swapped(place, secret):
        assert leaks(lambda: files.read_bytes(f"{place}/file") == b"secret") == 0


@pytest.mark.parametrize("kind", [Npy, HDF5])
def test_a_volume_in_a_file(allowed: Path, kind: type[Npy | HDF5]) -> None:
    name = "v.npy" if kind is Npy else "v.h5"
    for path, value in ((allowed / name, INSIDE), (allowed.parent / name, OUTSIDE)):
        voxels = np.full(SHAPE, value, "u1")
        if kind is Npy:
            np.save(path, voxels)
        else:
            with h5py.File(path, "w") as file:
                file.create_dataset("main", data=voxels, scaleoffset=0)
    files = Files([str(allowed)])

    def read() -> bool:
        source = kind.open(str(allowed / name), files=files)
        return OUTSIDE in source.read(0, BoundingBox.of_shape(SHAPE))

    with swapped(allowed / name, allowed.parent / name):
        assert leaks(read) == 0


@pytest.mark.parametrize(
    ("archived", "what"),
    [(False, "chunk"), (False, "folder"), (False, "store"), (True, "store")],
)
def test_chunks(allowed: Path, what: str, archived: bool) -> None:
    """TensorStore opens the files itself, by name."""
    for folder, value in ((allowed, INSIDE), (allowed.parent, OUTSIDE)):
        store = zarr.storage.ZipStore(folder / "v.zip", mode="w") if archived else folder / "v.zarr"
        array = zarr.create_array(store, shape=SHAPE, chunks=SHAPE, dtype="u1", fill_value=0)
        array[:] = value
        if archived:
            store.close()
    inside = {"chunk": "c/0/0/0", "folder": "c/0", "store": ""}[what]
    name = "v.zip" if archived else "v.zarr"
    path, outside = allowed / name, allowed.parent / name
    files = Files([str(allowed)])
    source = Zarr.open(str(path), files=files)
    time.sleep(0.2)
    # From folders that did not change of late TensorStore reads by name.
    assert not (source.read(0, source.scales[0].box) - INSIDE).any()

    def read() -> bool:
        return OUTSIDE in source.read(0, source.scales[0].box)

    with swapped(path / inside if inside else path, outside / inside if inside else outside):
        assert leaks(read) == 0
