"""Chunks of zarr, N5 and precomputed volumes that are answers, each stored in another way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numcodecs
import numpy as np
import pytest
import tensorstore as ts
import zarr
from zarr.codecs import GzipCodec, ZstdCodec

import bfly.core.core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from bfly.cutouts.passthrough import Passed

SIDE = 64
SHAPE = (64, 100, 140)

TOKEN = "exp::sam::dat"
RAW = "/pre/{token}/{name}/raw/0/64-128_0-64_0-64"
ZARR = "/zarr/{token}/{name}/0/0/0/1"
ZARR3 = "/zarr3/{token}/{name}/0/c/0/0/1"


class Case(NamedTuple):
    """A way in which a chunk is stored, and where it is then the answer."""

    name: str
    write: Callable[[Path], None]
    volume: np.ndarray
    file: str
    """Below the folder that is written."""
    first: str
    """The file of another chunk."""
    paths: tuple[str, ...]
    """Addresses whose answer is the file."""
    coding: str = ""
    header: int = 0
    """Bytes of the file that are not sent."""

    @property
    def voxels(self) -> np.ndarray:
        """The chunk's."""
        return self.volume[:, :SIDE, SIDE : 2 * SIDE]


def images() -> np.ndarray:
    """Voxels that JPEG, too, keeps near to what they are."""
    z, y, x = np.indices(SHAPE)
    return ((x + y // 2 + z // 4) % 256).astype("u1")


def labels(dtype: str = "u4") -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    return (1 + x // 9 + 20 * (y // 7) + 400 * (z // 11)).astype(dtype)


def write_zarr(path: Path, volume: np.ndarray, **options: Any) -> None:
    options = {"shape": SHAPE, "dtype": volume.dtype, "chunks": (SIDE,) * 3, **options}
    zarr.create_array(str(path), **options)[...] = volume


def write_n5(path: Path, volume: np.ndarray, **compression: Any) -> None:
    metadata = {"dimensions": SHAPE[::-1], "blockSize": (SIDE,) * 3, "dataType": volume.dtype.name}
    metadata["compression"] = compression
    spec = {"driver": "n5", "kvstore": f"file://{path}/", "metadata": metadata}
    ts.open(spec, create=True).result().write(volume.T).result()


def write_precomputed(path: Path, volume: np.ndarray, encoding: str, **scale: Any) -> None:
    kind = "image" if volume.itemsize == 1 else "segmentation"
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "multiscale_metadata": {"type": kind, "data_type": volume.dtype.name, "num_channels": 1},
        "scale_metadata": {
            **{"size": SHAPE[::-1], "encoding": encoding, "chunk_size": [SIDE] * 3},
            **{"resolution": [4, 4, 30], **scale},
        },
    }
    ts.open(spec, create=True).result()[ts.d["channel"][0]].write(volume.T).result()


def zarr_case(name: str, volume: np.ndarray, *paths: str, coding: str = "", **how: Any) -> Case:
    version = int(name[4])
    write = partial(write_zarr, volume=volume, zarr_format=version, **how)
    files = ("0.0.1", "0.0.0") if version == 2 else ("c/0/0/1", "c/0/0/0")
    return Case(name, write, volume, *files, paths, coding)


def n5_case(name: str, volume: np.ndarray, path: str, coding: str = "", **how: Any) -> Case:
    write = partial(write_n5, volume=volume, **how)
    return Case(name, write, volume, "1/0/0", "0/0/0", (path,), coding, 16 if path == RAW else 0)


def precomputed_case(volume: np.ndarray, encoding: str, **how: Any) -> Case:
    write = partial(write_precomputed, volume=volume, encoding=encoding, **how)
    files = ("4_4_30/64-128_0-64_0-64", "4_4_30/0-64_0-64_0-64")
    return Case(encoding, write, volume, *files, (RAW.replace("raw", encoding),))


PLAIN, GZIP, ZLIB = {"compressors": None}, numcodecs.GZip(9), numcodecs.Zlib(9)
ZSTD, BLOSC = numcodecs.Zstd(9), numcodecs.Blosc("lz4", 5, 2)
IN_BLOSC = [path.replace("}/0", "}/blosc/0") for path in (ZARR, ZARR3)]

CASES = [
    zarr_case("zarr2 plain", images(), RAW, **PLAIN),
    zarr_case("zarr2 gzip", labels(), RAW, coding="gzip", compressors=GZIP),
    zarr_case("zarr2 zlib", labels(), RAW, coding="deflate", compressors=ZLIB),
    zarr_case("zarr2 zstd", labels("u8"), RAW, coding="zstd", compressors=ZSTD),
    zarr_case("zarr2 zstd as zarr", labels("u8"), ZARR, ZARR3, compressors=ZSTD),
    zarr_case("zarr2 blosc", labels(), *IN_BLOSC, compressors=BLOSC),
    zarr_case("zarr3 gzip", labels(), RAW, coding="gzip", compressors=GzipCodec(level=9)),
    zarr_case("zarr3 zstd", images(), ZARR, ZARR3, compressors=ZstdCodec(level=9, checksum=True)),
    n5_case("n5 gzip", labels("u8"), "/n5/{token}/{name}/s0/1/0/0", type="gzip", level=9),
    n5_case("n5 gzip, voxels", images(), RAW, "gzip", type="gzip", level=9),
    n5_case("n5 zlib, voxels", images(), RAW, "deflate", type="gzip", level=9, useZlib=True),
    n5_case("n5 zstd, voxels", images(), RAW, "zstd", type="zstd", level=9),
    precomputed_case(labels(), "raw"),
    precomputed_case(images(), "jpeg", jpeg_quality=70),
    precomputed_case(images(), "png"),
    precomputed_case(
        labels("u8"), "compressed_segmentation", compressed_segmentation_block_size=[8, 8, 8]
    ),
]
BY_NAME = {case.name: case for case in CASES}


@pytest.fixture(params=BY_NAME)
def case(request: pytest.FixtureRequest) -> Case:
    """Each of the cases, or those that a test names."""
    return BY_NAME[request.param]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a volume of each case, by its name."""
    folder: Path = tmp_path_factory.mktemp("passing")
    for each in CASES:
        each.write(folder / each.name)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path, serve, make_tree) -> Iterator[httpx.Client]:
    """What asks a server of all of them."""
    channels = [{"name": each.name, "path": str(folder / each.name)} for each in CASES]
    with serve(make_tree(*channels)) as client:
        yield client


@pytest.fixture(scope="session")
def ask() -> Callable[..., tuple[httpx.Response, bytes]]:
    """Ask for one of a case's paths; gives the response and its body, still packed."""

    def asked(client: httpx.Client, case: Case, path: str, accept: str, **headers: str) -> Any:
        address = path.format(token=TOKEN, name=case.name)
        headers["accept-encoding"] = accept
        with client.stream("GET", address, headers=headers) as got:
            return got, b"".join(got.iter_raw())

    return asked


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codings of the chunks that were sent as they are stored."""
    sent: list[str] = []
    passed = bfly.core.core.passed

    def noted(*arguments: Any, **words: Any) -> Passed | None:
        found = passed(*arguments, **words)
        if found is not None:
            sent.append(found[1])
        return found

    monkeypatch.setattr(bfly.core.core, "passed", noted)
    return sent


@pytest.fixture
def url(sent: list[str], folder: Path, serve, make_tree, case) -> Iterator[str]:
    """The address of a case's volume, at a server that has answered nothing yet."""
    # What stands before the mip, the chunk and, in zarr 3, a c.
    path = case.paths[0].partition("/0")[0].partition("/s0")[0]
    with serve(make_tree({"name": "v", "path": str(folder / case.name)})) as client:
        yield str(client.base_url).rstrip("/") + path.format(token=TOKEN, name="v")
