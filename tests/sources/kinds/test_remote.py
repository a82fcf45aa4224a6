"""The kind of a volume behind a URL: few requests, and a second look after an outage."""

from __future__ import annotations

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from bfly.storage.files import Files
from bfly.testing.tissue import tissue
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EM, _, NEURITES = tissue((16, 128, 128))[:3]


class Shared:
    """A folder with volumes behind a URL, and the chunks that were asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.is_away = False
        shared = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                if "/c/" in self.path:
                    shared.asked.append(self.path)
                    if shared.is_away:
                        self.send_error(403)
                        return
                super().do_GET()

            def log_message(self, *_: Any) -> None:
                """Keep the output of the tests clean."""

        handler = functools.partial(Handler, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def open(self, name: str) -> Volume:
        return Volume.open(ChannelSpec(f"{self.url}/{name}"), Files([self.url]))


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    zarr.create_array(str(tmp_path / "a"), data=EM.astype("u2"), chunks=(16, 64, 64))
    zarr.create_array(str(tmp_path / "b"), data=NEURITES.astype("u2"), chunks=(8, 16, 16))
    server = Shared(tmp_path)
    yield server
    server.server.shutdown()
    server.server.server_close()


def test_few_chunks_are_asked_for(shared: Shared) -> None:
    for name, kind, most in (("a", "image", 1), ("b", "segmentation", 4)):
        shared.asked.clear()
        volume = shared.open(name)
        assert not shared.asked
        assert (volume.kind, volume.source.kind_doubt) == (kind, "")
        assert 1 <= len(shared.asked) <= most


def test_the_kind_is_decided_again_once_the_voxels_can_be_read(shared: Shared) -> None:
    shared.is_away = True
    volume = shared.open("a")
    assert (volume.kind, volume.source.kind_source) == ("segmentation", "dtype: uint16")
    assert "cannot be read" in volume.source.kind_doubt
    assert volume.look() is None, "it is asked once a minute"
    volume.source._source._due = 0.0  # type: ignore[attr-defined]
    assert volume.look() is not None
    assert not volume.current
    shared.is_away = False
    assert shared.open("a").kind == "image"


def test_chunks_that_are_not_there_are_zeros_and_no_error(shared: Shared, tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "missing"), shape=(4, 64, 64), chunks=(4, 32, 32), dtype="u2")
    volume = shared.open("missing")
    assert volume.source.kind_doubt == "the voxels looked at are all 0"
    assert np.all(volume.source.read(0, volume.source.scales[0].box) == 0)
