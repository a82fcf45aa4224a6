"""Channels that are no regular files, and a process without file descriptors."""

from __future__ import annotations

import os
import resource
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import numpy as np
import pytest
import zarr

from bfly import registry
from bfly.discovery.scan import scan
from bfly.errors import Busy, SourceError
from bfly.storage.files import Files
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHAPE = (2, 8, 8)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Use up all file descriptors of the process."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        highest = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, limits[1]))
        while True:
            try:
                taken.append(os.open("/", os.O_RDONLY))
            except OSError:
                break
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def _h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=np.ones(SHAPE, "u1"), scaleoffset=0)


def _stack(path: Path) -> None:
    path.mkdir()
    (path / "0.png").write_bytes(imagecodecs.png_encode(np.ones((8, 8), "u1")))


def _zarr(path: Path) -> None:
    zarr.create_array(path, shape=SHAPE, chunks=SHAPE, dtype="u1")[:] = 1


MAKE: dict[str, Callable[[Path], None]] = {
    "v.h5": _h5,
    "stack": _stack,
    "v.zarr": _zarr,
    "v.npy": lambda path: np.save(path, np.ones(SHAPE, "u1")),
}


@pytest.mark.parametrize("name", MAKE)
def test_a_channel_that_cannot_be_opened_for_lack_of_descriptors_says_so(
    tmp_path: Path, name: str
) -> None:
    """And not that it is of no known format; a moment later it is served."""
    MAKE[name](tmp_path / name)
    spec = ChannelSpec(str(tmp_path / name))
    files = Files()
    # What is imported on first use needs descriptors too.
    Volume.open(spec, Files())
    with no_descriptors(), pytest.raises(Busy, match="EMFILE"):
        Volume.open(spec, files)
    source = Volume.open(spec, files).source
    files.close()
    with no_descriptors(), pytest.raises(Busy, match="EMFILE"):
        source.read(0, source.scales[0].box)
    assert source.read(0, source.scales[0].box).all()


@pytest.mark.parametrize("source", [*registry.names("sources")])
@pytest.mark.parametrize("name", ["x", "x.json", "x.zip"])
def test_no_format_recognises_a_fifo_or_waits_for_it(
    tmp_path: Path, source: str, name: str
) -> None:
    os.mkfifo(tmp_path / name)
    assert not registry.find("sources")[source].guess_can_open(str(tmp_path / name))
    with pytest.raises(SourceError):
        registry.find("sources")[source].open(str(tmp_path / name))


FIFOS = ("info", "zarr.json", ".zarray", "attributes.json", "tiledVolumeDescription.xml", "0.png")


@pytest.mark.parametrize("name", FIFOS)
def test_a_folder_with_a_fifo_is_scanned(tmp_path: Path, name: str) -> None:
    (tmp_path / "odd").mkdir()
    os.mkfifo(tmp_path / "odd" / name)
    np.save(tmp_path / "v.npy", np.ones(SHAPE, "u1"))
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(scan(str(tmp_path), Files())), daemon=True)
    thread.start()
    thread.join(30)
    assert done, "the scan hangs"
    channels = done[0].experiments[0].samples[0].datasets[0].channels
    assert [channel.name for channel in channels] == ["v.npy"]


@pytest.mark.parametrize("kind", ["path", "chunk", "section"])
def test_a_fifo_is_named_and_others_are_served(
    tmp_path: Path, serve: Any, make_tree: Any, kind: str
) -> None:
    place = {"path": "odd.h5", "chunk": "odd.zarr/c/0/0/0", "section": "odd/0.png"}[kind]
    _zarr(tmp_path / "odd.zarr")
    _stack(tmp_path / "odd")
    shutil.copy(tmp_path / "odd" / "0.png", tmp_path / "odd" / "1.png")
    (tmp_path / place).unlink(missing_ok=True)
    os.mkfifo(tmp_path / place)
    np.save(tmp_path / "v.npy", np.ones(SHAPE, "u1"))
    paths = {"odd": tmp_path / place.split("/")[0], "good": tmp_path / "v.npy"}
    channels = [{"name": name, "path": str(path)} for name, path in paths.items()]
    box = {"x": 0, "y": 0, "z": 0, "width": 8, "height": 8, "depth": 1, "format": "raw"}
    words = {"experiment": "exp", "sample": "sam", "dataset": "dat", **box}
    with serve(make_tree(*channels, **{"allowed-paths": [str(tmp_path)]})) as client:
        start = time.monotonic()
        for _ in range(12):
            answer = client.get("/api/data", params={**words, "channel": "odd"})
            assert answer.status_code == 503
            assert "a FIFO, not a regular file" in answer.text
        good = client.get("/api/data", params={**words, "channel": "good"})
        assert good.status_code == 200
        assert client.get("/healthz").status_code == 200
        assert time.monotonic() - start < 30
