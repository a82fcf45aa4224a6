"""Malformed requests for every prefix, header and the websocket: no 500, no lasting effect.

``BFLY_TEST_FUZZ=20000`` says how many there are, and ``BFLY_TEST_SEED`` which.
"""

from __future__ import annotations

import base64
import json
import os
import random
import socket
import struct
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

import h5py
import numpy as np
import pytest

from bfly import registry
from bfly.protocols.dvid_instances import uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

COUNT = int(os.environ.get("BFLY_TEST_FUZZ", "600"))
SEED = int(os.environ.get("BFLY_TEST_SEED", "0"))

CLIENTS = 8
"""Clients at once; they wait most of the time."""

MORE_MEMORY = 96 << 20
"""Bytes that the caches and the allocator may have more afterwards."""

CHANNEL = "exp/sam/dat/seg"
NODE = f"node/{uuid_of('exp::sam::dat')}/seg"
CUTOUT = "experiment=exp&sample=sam&dataset=dat&channel=seg&x=0&y=0&z=0&width=8&height=8"

ADDRESSES = [
    *("/", "/healthz", "/metrics", "/browse", "/sections", "/neuron", "/ng/", "/assets/x.js"),
    *("/favicon.ico", "/openapi.json", "/try", "/state", "/state/0123456789abcdef"),
    *("/api/experiments", "/api/samples?experiment=exp", f"/api/data?{CUTOUT}&depth=1"),
    f"/api/data?{CUTOUT}&format=raw&view=rgb&resolution=1&labels=supervoxels",
    "/api/channel_metadata?experiment=exp&sample=sam&dataset=dat&channel=seg&format=yaml",
    "/api/entity_feature?experiment=exp&sample=sam&dataset=dat&feature=is_neuron&id=7&ids=string",
    "/api/synapses?experiment=exp&sample=sam&dataset=dat&pre=1&post=2&format=csv",
    "/api/annotations/exp/sam/dat/list?tag=a&box=0,0,0,8,8,8&since=2026-11-28&count=5&format=json",
    *(f"/pre/{CHANNEL}/annotations-points/info", f"/pre/{CHANNEL}/annotations-boxes/by_id/1"),
    "/api/partners?experiment=exp&sample=sam&dataset=dat&id=7",
    "/api/connectivity?experiment=exp&sample=sam&dataset=dat&ids=1,2,3",
    *(f"/pre/{CHANNEL}/info", f"/pre/{CHANNEL}/raw/0/0-8_0-8_0-8", f"/pre/{CHANNEL}/0/0-8_0-8_0-8"),
    *(f"/pre/{CHANNEL}/synapses/info", f"/pre/{CHANNEL}/synapses/spatial0/0_0_0"),
    *(f"/pre/{CHANNEL}/synapses/by_id/1", f"/pre/{CHANNEL}/segment_properties/info"),
    *(f"/zarr/{CHANNEL}/.zattrs", f"/zarr/{CHANNEL}/0/0/0/0", f"/zarr/{CHANNEL}/blosc/0/.zarray"),
    *(f"/zarr3/{CHANNEL}/zarr.json", f"/zarr3/{CHANNEL}/0/c/0/0/0", f"/n5/{CHANNEL}/s0/0/0/0"),
    *(f"/tiles/{CHANNEL}/0/0/0/0.png?view=rgb", f"/tiles/{CHANNEL}/xz/0/0/0/0.jpg"),
    *(f"/tiles/{CHANNEL}/0.dzi", f"/tiles/{CHANNEL}/0_files/8/0_0.webp"),
    *("/pre/exp::sam::dat/seg/info", "/zarr/dat/seg/.zattrs", "/n5/seg/attributes.json"),
    *("/segmentation/table/seg/info", "/segmentation/data/seg/0/0-8_0-8_0-8"),
    "/segmentation/api/v1/table/seg/node/1099511627777/root?int64_as_str=1&timestamp=1",
    "/meshing/api/v1/table/seg/manifest/2199023255553:0?verify=1&prepend_seg_ids=1",
    "/info/api/v2/datastack/full/seg",
    *("/dvid/api/repos/info", "/api/repos/info", "/api/server/info", f"/dvid/api/{NODE}/info"),
    f"/api/{NODE}/raw/0_1_2/8_8_8/0_0_0?compression=googlegzip&scale=0",
    *(f"/api/{NODE}/pseudocolor/0_1/8_8/0_0_0", f"/dvid/api/{NODE}/label/1_2_3"),
    *(f"/dvid/api/{NODE}/specificblocks?blocks=0,0,0&compression=blocks", f"/api/{NODE}/labels"),
    *(
        "/nd/sd/public_tokens/",
        "/nd/sd/exp::sam::dat/info/",
        "/ocp/ca/exp::sam::dat/seg/xy/0/0,8/0,8/0/",
    ),
    *("/nd/ca/exp::sam::dat/seg/hdf5/0/0,8/0,8/0,8/", "/v1/collection/exp/experiment/sam::dat"),
    *("/v1/cutout/exp/sam::dat/seg/0/0:8/0:8/0:8/?filter=1,2", "/v1/reserve/exp/sam::dat/seg/5"),
    *("/latest/ids/exp/sam::dat/seg/0/0:8/0:8/0:8/", "/v1/boundingbox/exp/sam::dat/seg/0/7/"),
    *(
        "/knossos/exp/sam/dat.k.toml",
        "/knossos/exp/sam/dat/seg.k.toml",
        "/knossos/exp/sam/dat/seg/mag1",
    ),
    "/knossos/exp/sam/dat/seg/mag1/x0000/y0000/z0000/seg_mag1_x0000_y0000_z0000.seg.sz.zip",
    *(f"/browse/{CHANNEL}", f"/browse/{CHANNEL}/thumbnail", f"/ws/{CHANNEL}", "/nothing"),
    *("/index.html?q=a", "/ng/index.html", "/viz.html?channel=0em,1seg&z=1"),
]

WORDS = [
    *("", "0", "-1", "1_0", " 7", "+5", "1e3", "0x10", "1.5", "NaN", "inf", "-0", "²", "٣", "१"),
    *(str(2**31), str(2**53 + 1), str(2**63), str(-(2**63)), str(2**64), "9" * 25, "9" * 4301),
    *(
        "..",
        "%2e%2e",
        "../../etc/passwd",
        "%00",
        "a\0b",
        "%",
        "%zz",
        "%ff%fe",
        "%c0%ae",
        "\\",
        "//",
    ),
    *("x" * 300, "x" * 3000, "é", "\U0001f98b", "a b", "a,b,c", "[1,2]", "{}", "null", "true"),
    *("<script>", "'; drop table", "%0d%0aSet-Cookie: a=b", "::", "a::b::c", "exp::sam::dat::x"),
    *("1,2,3," * 300, "0,0", "8,0", "0:0", "8:0", "0-0", "png", "hdf5", "raw", "arrow"),
]

VALUES = [
    *(b"", b" ", b"\t", b"0", b"-1", b"x" * 2000, b"\xff\xfe", b"a, b;q=nan", b";;,,q=\xff", b"*"),
    *(b"*;q=0", b"gzip;q=1e400", b"text/html;q=1_0", b'"', b'W/"', b'"a", "b"', b",", b"9" * 4301),
    *(b"bytes=0-" + b"9" * 4301, b"bytes=-" + b"9" * 4301, b"bytes=5-2", b"bytes=-", b"bytes=a-b"),
    *(b"bytes=0-0,1-1", "bytes=²-٣".encode(), b"null", b"file://", b"https://evil.example"),
    *(
        b"http://localhost:1",
        b"https://lab.org",
        b"https://" + b"a" * 400,
        b"evil.example:99999999",
    ),
    *(b"localhost", b"[::1]:1", b"[", b"127.0.0.1.evil", b"close", b"keep-alive", b"upgrade"),
    *(b"chunked", b"gzip, chunked", b"identity", b"websocket", b"h2c", b"100-continue", b"3 3"),
    *(b"cross-site", b"same-origin", b"navigate", b"no-cors", b"image", b"GET", b"POST", b"\x01"),
]

HEADERS = [
    *("Host", "Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Range"),
    *("If-Range", "If-Match", "If-None-Match", "Accept", "Accept-Encoding", "User-Agent"),
    *("Content-Length", "Transfer-Encoding", "Content-Type", "Expect", "Connection", "Upgrade"),
    *("Access-Control-Request-Method", "Access-Control-Request-Headers"),
    *("Access-Control-Request-Private-Network", "Sec-WebSocket-Key", "Sec-WebSocket-Version"),
    *("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Cookie", "X-Forwarded-For"),
]

METHODS = [
    *(
        "HEAD",
        "HEAD",
        "OPTIONS",
        "OPTIONS",
        "POST",
        "POST",
        "POST",
        "POST",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "TRACE",
    ),
    *("CONNECT", "get", "PROPFIND", "PRI", "G ET", "", "GET\0", "X" * 200),
]


class Fuzzer:
    """Makes requests that are wrong somewhere, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def request(self) -> tuple[bytes, list[bytes]]:
        """Return the bytes of a request, and of what follows if it becomes a websocket."""
        choice = self.random.random()
        if choice < 0.15:
            return self.handshake(), [self.frame() for _ in range(self.random.randint(1, 4))]
        if choice < 0.20:
            return self.rubbish(), []
        if choice < 0.25:
            return b"".join(self.plain(b"") for _ in range(self.random.randint(2, 6))), []
        return self.plain(b"Connection: close\r\n"), []

    def plain(self, last: bytes) -> bytes:
        method = self.random.choice(METHODS) if self.chance(0.2) else "GET"
        body = self.body() if method in ("POST", "PUT", "PATCH") or self.chance(0.02) else b""
        target = self.target()
        if method == "POST" and self.chance(0.7):
            target = b"/state"
        version = (
            b"HTTP/1.1" if self.chance(0.95) else self.pick(b"HTTP/1.0", b"HTTP/2.0", b"HTTP", b"")
        )
        if body and self.chance(0.7):
            chunked = self.random.random() < 0.3
            last += b"Transfer-Encoding: chunked\r\n" * chunked
            last += b"Content-Length: %d\r\n" % len(body) * (not chunked)
        line = b" ".join([method.encode(), target, version])
        return line + b"\r\n" + self.headers(last) + body

    def target(self) -> bytes:
        address = self.random.choice(ADDRESSES)
        for _ in range(self.random.choice([0, 1, 1, 1, 2, 3])):
            address = self.changed(address)
        if self.chance(0.02):
            address = self.pick("*", "http://localhost/healthz", "http://", "?", "#", "//x", " ")
        data = address.encode(errors="replace")
        return data if self.chance(0.05) else quote(data, safe="/:?&=,._-+%~*#").encode()

    def changed(self, address: str) -> str:
        path, mark, query = address.partition("?")
        if mark and self.chance(0.6):
            pairs = query.split("&")
            place = self.random.randrange(len(pairs))
            name = pairs[place].partition("=")[0]
            word = self.random.choice(WORDS)
            pairs[place : place + self.random.randint(0, 1)] = [
                self.pick(f"{name}={word}", name, f"{name}={word}&{name}={word}", word, f"={word}")
            ]
            return f"{path}?{'&'.join(pairs)}"
        parts = path.split("/")
        place = self.random.randrange(len(parts))
        change = self.random.randrange(5)
        if change == 0:
            parts[place] = self.random.choice(WORDS)
        elif change == 1:
            parts.insert(place, self.random.choice(WORDS))
        elif change == 2:
            del parts[place]
        elif change == 3:
            digits = [i for i, c in enumerate(parts[place]) if c.isdigit()] or [0]
            at = self.random.choice(digits)
            parts[place] = parts[place][:at] + self.random.choice(WORDS) + parts[place][at + 1 :]
        else:
            return f"{path}?{self.random.choice(WORDS)}={self.random.choice(WORDS)}&{query}"
        return "/".join(parts) + mark + query

    def headers(self, last: bytes) -> bytes:
        lines = [] if self.chance(0.02) else [b"Host: localhost\r\n"]
        for _ in range(self.random.choice([0, 0, 0, 1, 1, 2])):
            name, value = self.random.choice(HEADERS).encode(), self.random.choice(VALUES)
            between = self.pick(b":", b" : ", b"") if self.chance(0.05) else b": "
            lines.append(name + between + value + b"\r\n")
        if self.chance(0.03):
            lines.append(
                self.pick(b"\r\n", b": x\r\n", b"x\r\n", b" folded\r\n", b"A: b\n", b"A\0: b\r\n")
            )
        if self.chance(0.01):
            lines += [b"A%d: b\r\n" % number for number in range(500)]
        if self.chance(0.005):
            lines.append(b"A: " + b"x" * 100_000 + b"\r\n")
        return b"".join([*lines, last]) + b"\r\n"

    def body(self) -> bytes:
        text = self.pick(
            *(b"", b"{}", b'{"layers": []}', b"[" * 5000, b'{"a": NaN}', b"null", b"\xff" * 50),
            *('{"a": 1}'.encode("utf-16"), b'{"a": ' + b"9" * 5000 + b"}", b"x" * 100_000),
        )
        chunk = b"%x\r\n%s\r\n" % (len(text), text)
        return self.pick(
            text, chunk + b"0\r\n\r\n", chunk, b"zz\r\n", b"-1\r\n", b"f" * 20 + b"\r\n"
        )

    def handshake(self) -> bytes:
        target = f"/ws/{CHANNEL}".encode() if self.chance(0.8) else self.target()
        key = base64.b64encode(self.random.randbytes(16 if self.chance(0.9) else 5))
        lines = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + key
        lines += b"\r\nSec-WebSocket-Version: " + (b"13" if self.chance(0.95) else b"12") + b"\r\n"
        head = self.headers(lines) if self.chance(0.3) else b"Host: localhost\r\n" + lines + b"\r\n"
        return b"GET " + target + b" HTTP/1.1\r\n" + head

    def frame(self) -> bytes:
        """Return a frame of a websocket (RFC 6455, 5.2), most of them masked as they should be."""
        text = self.message()
        first = (
            self.random.randrange(256) if self.chance(0.2) else self.pick(0x81, 0x82, 0x89, 0x88)
        )
        size = self.random.choice([0, 5, 2**31, 2**63 - 1]) if self.chance(0.05) else len(text)
        if size < 126:
            head = struct.pack("!BB", first, size | 0x80)
        elif size < 1 << 16:
            head = struct.pack("!BBH", first, 126 | 0x80, size)
        else:
            head = struct.pack("!BBQ", first, 127 | 0x80, size)
        if self.chance(0.05):
            return head[:1] + bytes([head[1] & 0x7F]) + head[2:] + text
        return head + b"\0\0\0\0" + text

    def message(self) -> bytes:
        if self.chance(0.2):
            return self.pick(b"", b"{", b"\xff\xfe", b"[" * 3000, self.random.randbytes(100))
        value = self.random.choice(
            [
                None,
                1,
                -1,
                0,
                2**64,
                1.5,
                1e300,
                True,
                "5",
                "²",
                "1_0",
                "9" * 4301,
                [],
                {},
                [[]],
                "x",
            ]
        )
        deep = json.loads("[" * 900 + "]" * 900)
        action = self.pick("save", "save", "restore", "drop", value)
        lists = self.pick([["5", "6"]], [[value]], [value], value, [["5", value]], [deep])
        splits = self.pick(
            [], ["5:1:0:9:0:9:0:9"], [value], [":".join(["9" * 4301] * 8)], ["²:" * 8]
        )
        return json.dumps({"action": action, "merge": lists, "split": splits}).encode()

    def rubbish(self) -> bytes:
        return self.pick(
            *(
                b"\r\n" * 50,
                b"\0" * 200,
                b"GET",
                b"GET / HTTP/1.1\r\n",
                b"\x16\x03\x01\x02\x00\x01",
            ),
            *(
                self.random.randbytes(self.random.randint(1, 500)),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            ),
            *(b"GET / HTTP/1.1\nHost: localhost\n\n", b"get / http/1.1\r\n\r\n", b"x" * 70_000),
        )

    def chance(self, part: float) -> bool:
        return self.random.random() < part

    def pick(self, *choices):
        return self.random.choice(choices)


@pytest.fixture
def client(process: Callable, make_tree: Callable, tmp_path: Path) -> Iterator[httpx.Client]:
    voxels = np.random.default_rng(0).integers(0, 50, (16, 64, 64)).astype("u8")
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file.create_dataset("main", data=voxels, chunks=(16, 32, 32), compression="gzip")
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5"), "voxel_size": [8, 8, 8]}
    words = {"allowed-origins": ["https://lab.org"], "max-cache-size": 16, "max-cutout-size": 8}
    words |= {"db-path": str(tmp_path / "bfly.db"), "log-path": str(tmp_path / "bfly.log")}
    with process(make_tree(channel, **words)) as client:
        yield client


def answers(client: httpx.Client, request: bytes, frames: list[bytes]) -> list[int]:
    """Send a request, and give the statuses of what is answered until there is no more."""
    said = b""
    one = socket.create_connection((client.base_url.host, client.base_url.port), 60)
    # The server ends the connection, or waits for more: for that another test waits.
    with one, suppress(OSError):
        one.settimeout(0.5)
        one.sendall(request)
        while data := one.recv(1 << 16):
            said += data
            if frames and said.startswith(b"HTTP/1.1 101"):
                one.sendall(b"".join(frames))
                frames = []
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]


def state(client: httpx.Client) -> tuple[int, int]:
    """Return the resident memory and the open files of the process that serves."""
    lines = client.get("/metrics").text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("process_"))
    return int(float(found["process_resident_memory_bytes"])), int(float(found["process_open_fds"]))


def test_no_request_is_a_mistake_of_the_server(client: httpx.Client, tmp_path: Path) -> None:
    print(f"{COUNT} requests, seed {SEED}")
    assert {address.split("/")[1].split("?")[0] for address in ADDRESSES} >= {
        prefix.partition("/")[0]
        for found in registry.find("protocols").values()
        for prefix in found.prefixes
    }
    fuzzer = Fuzzer(SEED)
    for address in ADDRESSES:
        assert client.get(address).status_code < 500, address
    memory, files = state(client)
    statuses: Counter[int] = Counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for start in range(0, COUNT, 1000):
            requests = [fuzzer.request() for _ in range(min(1000, COUNT - start))]
            found = pool.map(lambda words: answers(client, *words), requests)
            for number, (request, got) in enumerate(zip(requests, found, strict=True), start):
                statuses.update(got)
                assert 500 not in got, (number, request[0][:2000], request[1])
    print(dict(sorted(statuses.items())))
    assert {200, 400, 403, 404} <= set(statuses)
    logged = (tmp_path / "bfly.log").read_text()
    assert "Traceback" not in logged, logged[logged.index("Traceback") - 500 :][:3000]
    deadline = time.monotonic() + 60
    while state(client)[1] > files + 3 and time.monotonic() < deadline:
        time.sleep(0.5)
    after = state(client)
    assert after[1] <= files + 3
    assert after[0] < memory + MORE_MEMORY
