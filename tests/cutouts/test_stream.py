"""Large cutouts: streamed slab by slab in bounded memory, without unreadable parts."""

from __future__ import annotations

import ast
import gzip
import io
import logging
import re
import socket
import struct
import sys
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import httpx
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from bfly.concurrency.workers import Workers
from bfly.cutouts import stream as module
from bfly.cutouts.assemble import Assembler
from bfly.cutouts.stream import slabs
from bfly.encoders.raw import Raw
from bfly.encoders.views import VIEWS
from bfly.geometry import BoundingBox
from bfly.queries.data import DataQuery
from bfly.queries.slice import PLANES, SliceQuery
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.region import Region
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHAPE = (40, 50, 60)
CHUNK = (16, 16, 16)
URL = "/api/data?experiment=exp&sample=sam&dataset=dat&channel={}&x={}&y={}&z={}"
BOX = "&width={}&height={}&depth={}&format={}&resolution={}"


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    # Runs of labels: worth packing.
    values = np.random.default_rng(0).integers(0, 2**20, (10, 50, 15)).astype("u4")
    return values.repeat(4, axis=0).repeat(4, axis=2)


@pytest.fixture(scope="module")
def client(volume, tmp_path_factory, serve, make_tree) -> Iterator[httpx.Client]:
    """A server for which a cutout of 10 kB is large."""
    folder = tmp_path_factory.mktemp("slabs")
    noise = np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)
    channels = []
    for name, voxels in (("seg", volume), ("em", noise)):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=voxels, chunks=CHUNK, compression="gzip")
        channels.append({"name": name, "path": str(folder / f"{name}.h5")})
    channels[1]["voxel_offset"] = [3, 5, 7]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WHOLE", 10_000)
        patch.setattr(module, "SLAB", 60_000)
        with serve(make_tree(*channels)) as client:
            client.headers["accept-encoding"] = "identity"
            yield client


def url(channel: str, box: BoundingBox, file: str = "raw", mip: int = 0) -> str:
    (depth, height, width), start = box.shape, box.start
    return URL.format(channel, *start[::-1]) + BOX.format(width, height, depth, file, mip)


def cut(voxels: np.ndarray, box: BoundingBox) -> np.ndarray:
    """Return a box of a volume with zeros around it."""
    around = [(100, 100)] * 3
    return np.pad(voxels, around)[box.shift((100, 100, 100)).slices]


BOXES = [
    BoundingBox((0, 0, 0), SHAPE),
    BoundingBox((3, 5, 7), (37, 44, 58)),
    BoundingBox((-9, -3, -1), (45, 55, 70)),
]


@pytest.mark.parametrize("box", BOXES, ids=["whole", "part", "outside"])
def test_what_is_streamed_is_the_cutout(client, volume, box: BoundingBox) -> None:
    raw = client.get(url("seg", box))
    expected = cut(volume, box)
    assert "etag" not in raw.headers
    assert raw.headers["content-length"] == str(expected.nbytes)
    assert raw.content == expected.tobytes()
    assert zlib.decompress(client.get(url("seg", box, "zip")).content) == expected.tobytes()
    for file, shape in (("npy", box.shape), ("npz", (1, *box.shape)), ("npygz", box.shape)):
        npy = client.get(url("seg", box, file)).content
        npy = npy if file == "npy" else zlib.decompress(npy)
        version, rest = npy[:8], npy[10 + int.from_bytes(npy[8:10], "little") :]
        assert version == b"\x93NUMPY\x01\x00"
        header = ast.literal_eval(npy[10 : len(npy) - len(rest)].decode())
        assert (header["shape"], header["descr"]) == (shape, "<u4")
        assert rest == expected.tobytes()


def test_a_channel_that_is_moved_is_streamed_from_its_place(client, make_core) -> None:
    whole = client.get("/api/channel_metadata?experiment=exp&sample=sam&dataset=dat&channel=em")
    with h5py.File(whole.json()["path"]) as file:
        voxels = np.pad(file["main"][:], [(3, 0), (5, 0), (7, 0)])
    box = BoundingBox((1, 2, 3), (43, 55, 67))
    assert client.get(url("em", box)).content == cut(voxels, box).tobytes()


def test_many_clients_that_are_slow_hold_little(client, make_core, monkeypatch) -> None:
    monkeypatch.setattr(module, "WHOLE", 10_000)
    monkeypatch.setattr(module, "SLAB", 60_000)
    whole = client.get("/api/channel_metadata?experiment=exp&sample=sam&dataset=dat&channel=em")
    core, (depth, height, width) = make_core(), SHAPE
    box = {"depth": depth, "height": height, "width": width}
    begun = []

    def begin() -> int:
        query = DataQuery(path=whole.json()["path"], format="raw", **box)
        query.update_source(core.update_query(query))
        begun.append(core.streams.streamed(query).parts(0))
        return len(next(begun[-1]))

    held = [begin() for _ in range(40)]
    assert held[:4] == [48_000] * 4  # the sections of a layer of chunks
    assert held[4:8] == [24_000] * 4
    assert max(held[20:]) <= 3_000
    assert sum(held) < 8 * 60_000 + 40 * 3_000
    begun.clear()
    assert begin() == 48_000


def test_streams_make_room_for_others_but_not_for_each_other(client, monkeypatch) -> None:
    made: list[Workers] = []
    monkeypatch.setattr(Workers, "make_room", lambda self: made.append(self))
    client.get(url("em", BoundingBox((0, 0, 0), SHAPE)))
    assert made == []
    client.get(url("em", BoundingBox((0, 0, 0), (10, 10, 10))))
    assert len(made) == 1


def test_a_small_cutout_and_formats_that_need_all_voxels_are_sent_whole(client) -> None:
    assert "etag" in client.get(url("em", BoundingBox((0, 0, 0), (10, 10, 10)))).headers
    for file in ("zstd", "blosc"):
        assert "etag" in client.get(url("em", BoundingBox((3, 5, 7), (43, 55, 67)), file)).headers


DECODED: dict[str, Callable[[bytes], np.ndarray]] = {
    "png": imagecodecs.png_decode,
    "bmp": imagecodecs.bmp_decode,
    "tiff": lambda data: tifffile.imread(io.BytesIO(data)),
    "tiff-stack": lambda data: tifffile.imread(io.BytesIO(data)),
}


@pytest.mark.parametrize("view", list(VIEWS))
@pytest.mark.parametrize("file", DECODED)
@pytest.mark.parametrize("channel", ["seg", "em"])
def test_a_large_picture_is_streamed(client, monkeypatch, channel, file, view) -> None:
    """It has the pixels that it has where it is made as a whole."""
    address = url(channel, BOXES[2], file) + f"&view={view}"
    streamed = client.get(address)
    monkeypatch.setattr(module, "WHOLE", 1 << 30)
    whole = client.get(f"{address}&whole=")
    assert ("etag" in whole.headers, "etag" in streamed.headers) == (True, False)
    assert streamed.headers["content-type"] == whole.headers["content-type"]
    found = DECODED[file](streamed.content)
    assert found.any()
    np.testing.assert_array_equal(found, DECODED[file](whole.content))


@pytest.mark.parametrize("file", ["jpeg", "webp"])
@pytest.mark.parametrize("view", list(VIEWS))
def test_a_large_lossy_picture_is_streamed(client, monkeypatch, file, view) -> None:
    decode = {"jpeg": imagecodecs.jpeg8_decode, "webp": imagecodecs.webp_decode}[file]
    address = url("em", BOXES[1], file) + f"&view={view}"
    streamed = client.get(address)
    monkeypatch.setattr(module, "WHOLE", 1 << 30)
    whole = client.get(f"{address}&whole=")
    assert ("etag" in whole.headers, "etag" in streamed.headers) == (True, False)
    np.testing.assert_array_equal(decode(streamed.content), decode(whole.content))


def test_a_block_of_n5_is_streamed(client, volume) -> None:
    got = client.get(url("seg", BOXES[0], "n5")).content
    assert struct.unpack(">HHIII", got[:16]) == (0, 3, *SHAPE[::-1])
    assert gzip.decompress(got[16:]) == volume.astype(">u4").tobytes()


@pytest.mark.parametrize("plane", list(PLANES))
@pytest.mark.parametrize("file", ["png", "bmp"])
def test_a_section_of_any_plane_is_streamed(client, make_core, monkeypatch, plane, file) -> None:
    monkeypatch.setattr(module, "WHOLE", 10_000)
    monkeypatch.setattr(module, "SLAB", 20_000)
    whole = client.get("/api/channel_metadata?experiment=exp&sample=sam&dataset=dat&channel=seg")
    core, (depth, height, width) = make_core(), SHAPE
    box = {"depth": depth, "height": height, "width": width}
    query = SliceQuery(plane, path=whole.json()["path"], format=file, view="colormap", **box)
    query.update_source(core.update_query(query))
    streamed = b"".join(map(bytes, core.streams.streamed(query).parts(0)))
    decode = DECODED[file]
    np.testing.assert_array_equal(decode(streamed), decode(core.get_data(query)))


@pytest.mark.parametrize(
    ("file", "box", "message"),
    [
        ("jpeg", BoundingBox((0, 0, 0), (1, 70_000, 2)), "a side of image/jpeg has at most 65500"),
        ("webp", BoundingBox((0, 0, 0), (1, 2, 70_000)), "a side of image/webp has at most 16383"),
        ("tiff-stack", BoundingBox((0, 0, 0), (70_000, 1, 2)), "image/tiff has at most 65535"),
        ("compressed_segmentation", BOXES[1], "The voxels are uint8"),
    ],
)
def test_what_a_format_does_not_hold_is_refused_before_anything_is_read(
    client, file, box, message, monkeypatch
) -> None:
    def read(*_: Any) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(Assembler, "gather", read)
    monkeypatch.setattr(Assembler, "fill", read)
    got = client.get(url("em", box, file))
    assert got.status_code == 400
    assert message in got.text


@pytest.mark.parametrize("mip", [1, 2])
def test_a_computed_mip_is_streamed_like_any_other(client, mip, monkeypatch) -> None:
    box = BoundingBox((0, 0, 0), (40, 50 >> mip, 60 >> mip))
    streamed = client.get(url("seg", box, "raw", mip))
    monkeypatch.setattr(module, "WHOLE", 1 << 30)
    whole = client.get(url("seg", box, "raw", mip) + "&view=rgb")
    assert ("etag" in whole.headers, "etag" in streamed.headers) == (True, False)
    assert streamed.content == whole.content


def test_head_and_ranges(client, volume) -> None:
    address, body = url("seg", BOXES[0]), volume.tobytes()
    head = client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(body))
    for asked, part in (
        ("bytes=0-9", slice(0, 10)),
        ("bytes=99999-300001", slice(99_999, 300_002)),
        ("bytes=-5", slice(-5, None)),
    ):
        got = client.get(address, headers={"range": asked})
        start, stop, _ = part.indices(len(body))
        assert (got.status_code, got.content) == (206, body[part])
        assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(body)}"
    beyond = client.get(address, headers={"range": "bytes=999999999-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(body)}")
    # A response without an ETag cannot match.
    part = {"range": "bytes=0-9", "if-range": '"some"'}
    assert client.get(address, headers=part).content == body
    assert client.get(address, headers={"if-match": '"some"'}).status_code == 412
    assert client.get(address, headers={"if-none-match": '"some"'}).content == body


def test_gzip_where_it_is_accepted_and_worth_it(client, volume) -> None:
    accept = {"accept-encoding": "gzip"}
    labels = client.get(url("seg", BOXES[0]), headers=accept)
    assert labels.headers["content-encoding"] == "gzip"
    assert "content-length" not in labels.headers
    assert labels.content == volume.tobytes()
    noise = client.get(url("em", BoundingBox((3, 5, 7), (43, 55, 67))), headers=accept)
    assert "content-encoding" not in noise.headers
    assert noise.headers["vary"] == "accept-encoding, origin"


def test_what_is_too_large_is_refused_before_anything_is_read(client) -> None:
    got = client.get(url("seg", BoundingBox((0, 0, 0), (10**6, 10**6, 10**6))))
    assert got.status_code == 413
    assert "max-cutout-size" in got.text


def receive(client: httpx.Client, address: str, into: bytearray) -> None:
    with client.stream("GET", address, headers={"accept-encoding": "identity"}) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            into += piece


def test_a_damaged_chunk_breaks_the_answer_off(serve, make_tree, tmp_path, caplog) -> None:
    path, voxels = tmp_path / "v.h5", np.random.default_rng(2).integers(0, 9, SHAPE, np.uint8)
    with h5py.File(path, "w") as file:
        main = file.create_dataset("main", data=voxels, chunks=CHUNK, compression="gzip")
        places = [main.id.get_chunk_info(i) for i in range(main.id.get_num_chunks())]
    damaged = next(info.byte_offset for info in places if info.chunk_offset == (32, 16, 16))
    with path.open("r+b") as file:
        file.seek(damaged + 20)
        file.write(b"\xff" * 40)
    box = BoundingBox((0, 0, 0), SHAPE)
    with (
        pytest.MonkeyPatch.context() as patch,
        serve(make_tree({"name": "v", "path": str(path)})) as c,
    ):
        patch.setattr(module, "WHOLE", 10_000)
        patch.setattr(module, "SLAB", 50_000)
        got = bytearray()
        with caplog.at_level(logging.WARNING), pytest.raises(httpx.RemoteProtocolError):
            receive(c, url("v", box), got)
        # What came is right, and the damaged sections are not there.
        assert bytes(got) == voxels[:32].tobytes()
        assert re.search(r"/api/data was broken off: .* damaged", caplog.text)
        # Where it shows before anything is sent, there is a status for it.
        last = BoundingBox((32, 0, 0), SHAPE)
        assert c.get(url("v", last)).status_code == 503


def test_a_changed_file_is_not_mixed_with_what_it_was(tmp_path, make_core) -> None:
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=np.ones(SHAPE, "u1"), chunks=CHUNK)
    core = make_core()
    query = SliceQuery(path=str(path), depth=40, height=50, width=60, format="raw")
    query.update_source(core.update_query(query))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WHOLE", 0)
        patch.setattr(module, "SLAB", 50_000)
        parts = core.streams.streamed(query).parts(0)
        assert bytes(next(parts)) == bytes([1]) * 16 * 3000
        query.volume.current = False
        with pytest.raises(Exception, match="changed on disk while it was sent"):
            next(parts)


def test_nothing_is_read_for_a_client_that_is_gone(serve, make_tree, tmp_path, monkeypatch) -> None:
    path, depth = tmp_path / "v.h5", 2000
    with h5py.File(path, "w") as file:
        file.create_dataset("main", (depth, 500, 500), "u1", chunks=(1, 500, 500))
    monkeypatch.setattr(module, "SLAB", 4 << 20)
    filled: list[int] = []
    fill = Assembler.fill

    def counted(self: Assembler, slab: Region, voxels: np.ndarray) -> None:
        filled.append(slab.box.shape[0])
        fill(self, slab, voxels)

    monkeypatch.setattr(Assembler, "fill", counted)
    ended = threading.Event()
    encode_parts = Raw.encode_parts

    def watched(self, parts, shape, **words):
        try:
            yield from encode_parts(self, parts, shape, **words)
        finally:
            ended.set()

    monkeypatch.setattr(Raw, "encode_parts", watched)
    with serve(make_tree({"name": "v", "path": str(path)})) as client:
        address = url("v", BoundingBox((0, 0, 0), (depth, 500, 500)))
        with socket.create_connection((client.base_url.host, client.base_url.port)) as sock:
            sock.sendall(f"GET {address} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        assert ended.wait(30)
    assert 0 < sum(filled) < depth / 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most memory of a process")
def test_memory_is_bounded(process, make_tree, tmp_path) -> None:
    """480 MiB of chunks as deep as half of the cutout take less than half of that."""
    path, shape = tmp_path / "v.h5", (128, 2048, 1920)
    chunk = np.random.default_rng(3).integers(0, 9, (64, 64, 64), np.uint8)
    with h5py.File(path, "w") as file:
        main = file.create_dataset("main", shape, "u1", chunks=(64, 64, 64), compression="gzip")
        packed = zlib.compress(chunk.tobytes(), 1)
        for place in np.ndindex(*(n // 64 for n in shape)):
            main.id.write_direct_chunk(tuple(64 * i for i in place), packed)
    box = BoundingBox((0, 0, 0), shape)
    with process(make_tree({"name": "v", "path": str(path)})) as client:
        client.get(url("v", BoundingBox((0, 0, 0), (1, 64, 64))))
        pid = _listener(client.base_url.port)
        idle = _memory(pid, "VmRSS")
        size, total = 0, 0
        # A busy machine takes its time to fill a slab.
        words = {"headers": {"accept-encoding": "identity"}, "timeout": 600}
        with client.stream("GET", url("v", box), **words) as got:
            for piece in got.iter_raw():
                size += len(piece)
                total += int(np.frombuffer(piece, np.uint8).sum())
        assert size == 128 * 2048 * 1920
        assert total == int(chunk.sum()) * (size // 64**3)
        assert _memory(pid, "VmHWM") - idle < 220 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most memory of a process")
@pytest.mark.parametrize("file", ["png", "jpeg", "bmp", "tiff"])
def test_memory_of_colours_is_bounded(process, make_tree, tmp_path, file: str) -> None:
    """64 MiB of voxels outside the volume, which are not even read, in colours."""
    path, side = tmp_path / "v.h5", 8192
    with h5py.File(path, "w") as file_of_ones:
        file_of_ones.create_dataset("main", data=np.ones((1, 64, 64), "u1"), chunks=(1, 64, 64))
    box = BoundingBox((0, 0, 0), (1, side, side))
    with process(make_tree({"name": "v", "path": str(path)})) as client:
        client.get(url("v", BoundingBox((0, 0, 0), (1, 64, 64)), file) + "&view=colormap")
        pid = _listener(client.base_url.port)
        idle = _memory(pid, "VmRSS")
        address, size = url("v", box, file) + "&view=colormap", 0
        with client.stream("GET", address, timeout=600) as got:
            assert got.status_code == 200
            size = sum(map(len, got.iter_raw()))
        assert size
        assert _memory(pid, "VmHWM") - idle < 2 * side**2 + (32 << 20)


def _memory(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) << 10


def _listener(port: int) -> int:
    """Return the process that listens on a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inode = next(row[9] for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == "0A")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink().name == f"socket:[{inode}]":
                return int(link.parts[2])
        except OSError:
            continue
    raise AssertionError(f"nobody listens on {port}")


extents = st.tuples(*[st.integers(1, 40)] * 3)


@given(
    extents,
    st.tuples(*[st.integers(-30, 30)] * 3),
    st.sampled_from(list(PLANES)),
    st.integers(1, 5000),
)
def test_slabs_follow_one_another(opened: Volume, shape, start, plane: str, most: int) -> None:
    words = dict(zip(("z", "y", "x", "depth", "height", "width"), (*start, *shape), strict=True))
    query = SliceQuery(plane, path="v", **words)
    query.update_source(opened.keywords)
    place = np.arange(np.prod(shape)).reshape(shape)
    parts = []
    for slab in slabs(query, most):
        assert slab.nbytes <= max(most, query.nbytes // np.prod([shape[a] for a in query.axes[:2]]))
        parts.append(slab.arranged(place[slab.box.relative_to(start).slices]).ravel())
    assert np.array_equal(np.concatenate(parts), query.arranged(place).ravel())


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Volume:
    path = tmp_path_factory.mktemp("opened") / "v.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("main", SHAPE, "u2", chunks=CHUNK)
    return Volume.open(ChannelSpec(str(path)))
