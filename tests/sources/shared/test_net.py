"""The net around sources: any exception becomes an error of Butterfly with the file name."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from bfly.errors import (
    Busy,
    ButterflyError,
    MissingLibrary,
    NotAllowed,
    Oversized,
    SourceChanged,
    SourceError,
)
from bfly.geometry import BoundingBox, Scale
from bfly.sources.nrrd import Nrrd
from bfly.sources.precomputed.source import Precomputed
from bfly.sources.shared.net import can_open, opened
from bfly.sources.source import Datasource
from bfly.storage.files import Files
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

BOX = BoundingBox.of_shape((1, 2, 2))


class Broken(Datasource):
    """A source that raises what it is told to."""

    name = "broken"
    error: Exception | None = None
    on_open: Exception | None = None
    scale = Scale((4, 8, 8), (4, 8, 8))

    @classmethod
    def guess_can_open(cls, path):
        if cls.error is not None:
            raise cls.error
        return True

    def _open(self):
        if self.on_open is not None:
            raise self.on_open
        self.scales = {0: self.scale}
        self.dtype = np.dtype("u1")

    def _read_inside(self, mip, box):
        raise self.error

    def read_encoded(self, mip, index, way):
        raise self.error

    def stored_as(self, mip):
        raise self.error

    def changed(self):
        raise self.error

    def gaps(self):
        yield "at z 1"
        raise self.error


FOREIGN = [
    RuntimeError("a"),
    KeyError("a"),
    TypeError("a"),
    ZeroDivisionError("a"),
    RecursionError("a"),
    OverflowError("a"),
    struct.error("a"),
    UnicodeDecodeError("utf-8", b"a", 0, 1, "a"),
    OSError(5, "a"),
    AssertionError(),
]

OWN = [NotAllowed("a"), Busy("a"), MissingLibrary("a"), SourceError("a"), SourceChanged("a")]


def broken(**words):
    return type("Made", (Broken,), words)


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
def test_any_error_is_one_with_the_name_of_the_file(error):
    with pytest.raises(SourceError, match=r"^/a/b cannot be used: "):
        opened(broken(on_open=error), "/a/b", files=Files())
    source = opened(broken(error=error), "/a/b", files=Files())
    calls = [
        lambda: source.read(0, BOX),
        lambda: source.read_into(0, BOX, np.zeros((1, 2, 2), "u1")),
        lambda: source.read_encoded(0, (0, 0, 0), None),
        lambda: source.stored_as(0),
        source.changed,
        lambda: list(source.gaps()),
    ]
    for call in calls:
        with pytest.raises(SourceError, match=r"^/a/b cannot be used: ") as caught:
            call()
        assert caught.value.__cause__ is error
    assert not can_open(broken(error=error), "/a/b")


@pytest.mark.parametrize("error", OWN, ids=lambda error: type(error).__name__)
def test_errors_on_purpose_pass(error):
    for call in (
        lambda: opened(broken(on_open=error), "/a/b", files=Files()),
        lambda: opened(broken(error=error), "/a/b", files=Files()).read(0, BOX),
    ):
        with pytest.raises(type(error)) as caught:
            call()
        assert caught.value is error


def test_without_memory_it_is_busy():
    source = opened(broken(error=MemoryError()), "/a/b", files=Files())
    with pytest.raises(Busy, match="/a/b"):
        source.read(0, BOX)


def test_it_is_still_a_source_of_its_format():
    made = broken()
    source = opened(made, "/a/b", files=Files())
    assert isinstance(source, made)
    assert (source.name, source.kind, source.path) == ("broken", "image", "/a/b")


@pytest.mark.parametrize(
    "scale",
    [
        Scale((0, 8, 8), (4, 8, 8)),
        Scale((-4, 8, 8), (4, 8, 8)),
        Scale((1 << 40, 1 << 40, 8), (4, 8, 8)),
        Scale((4, 8, 8), (0, 8, 8)),
        Scale((4, 8, 8), (4, 8, 8), origin=(1 << 70, 0, 0)),
    ],
)
def test_sizes_that_no_file_has_are_refused(scale):
    with pytest.raises(SourceError, match="/a/b says that mip 0 has"):
        opened(broken(scale=scale), "/a/b", files=Files())


def test_a_chunk_is_as_large_as_what_of_it_is_inside():
    scale = Scale((4, 8, 8), (1 << 20, 1 << 20, 1 << 20))
    opened(broken(scale=scale), "/a/b", files=Files(max_chunk=256))
    with pytest.raises(Oversized, match="256 bytes; max-chunk-size is 255"):
        opened(broken(scale=scale), "/a/b", files=Files(max_chunk=255))


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_a_voxel_has_a_size(size):
    made = broken(_stated=((size, 1.0, 1.0), "header"))
    with pytest.raises(SourceError, match="says that a voxel has"):
        opened(made, "/a/b", files=Files())


def test_chunks_that_were_never_stored_are_fill_however_large(tmp_path):
    meta = {"zarr_format": 2, "shape": [64] * 3, "chunks": [1 << 20] * 3, "dtype": "|u1"}
    meta |= {"compressor": None, "fill_value": 7, "order": "C", "filters": None}
    path = tmp_path / "v.zarr"
    path.mkdir()
    (path / ".zarray").write_text(json.dumps(meta))
    volume = Volume.open(ChannelSpec(str(path)))
    level = volume.level(0)
    assert level.unit((0, 0, 0)).size <= 8
    assert (volume.source.read(0, level.whole) == 7).all()
    (path / "0.0.0").write_bytes(b"abc")
    with pytest.raises(Oversized, match="max-chunk-size"):
        Volume.open(ChannelSpec(str(path))).source.read(0, level.whole)


@pytest.mark.parametrize("sizes", ["-64 64 -16", "16 16 -16", "0 4 4"])
def test_negative_sizes_are_refused(tmp_path, sizes):
    path = tmp_path / "v.nrrd"
    text = f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: {sizes}\nencoding: raw\n\n"
    path.write_bytes(text.encode() + bytes(70_000))
    with pytest.raises(SourceError, match="none empty"):
        Nrrd.open(str(path))


@pytest.mark.parametrize("resolution", [[0, 4, 4], [-1, 4, 4], [float("inf"), 4, 4], ["a", 4, 4]])
def test_a_resolution_is_lengths(tmp_path, resolution):
    scale = {"key": "k", "size": [4] * 3, "chunk_sizes": [[4] * 3], "encoding": "raw"}
    scale |= {"resolution": resolution, "voxel_offset": [0] * 3}
    info = {"type": "image", "data_type": "uint8", "num_channels": 1, "scales": [scale]}
    (tmp_path / "info").write_text(json.dumps(info))
    with pytest.raises(SourceError, match=str(tmp_path)):
        Precomputed.open(str(tmp_path))


@pytest.mark.parametrize("name", [".zarray", "zarr.json", "info", "attributes.json"])
def test_long_metadata_are_refused_with_their_size(tmp_path, name):
    with (tmp_path / name).open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(Oversized, match=f"{3 << 30} bytes long"):
        Volume.open(ChannelSpec(str(tmp_path)))


def test_a_nul_is_no_path():
    with pytest.raises(ButterflyError, match="NUL"):
        Volume.open(ChannelSpec("/a\0b"))
