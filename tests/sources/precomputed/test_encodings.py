"""Chunks in encodings that TensorStore does not have, as CloudVolume writes them."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from cloudvolume import CloudVolume

from bfly.errors import MissingLibrary, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.precomputed import encodings
from bfly.sources.precomputed.source import Precomputed
from bfly.storage.files import Files
from bfly.testing.sources import SourceSuite
from bfly.testing.volumes import random_volume
from tests.fixtures.shards import SHARDING, write_shards

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = pytest.mark.filterwarnings("ignore")


def write(path: Path, volume: NDArray[Any], encoding: str, **words: Any) -> Path:
    """Write a volume (z, y, x) with CloudVolume."""
    kind = "image" if encoding == "jxl" else "segmentation"
    words = {"chunk_size": (16, 16, 2), "compress": False, **words}
    CloudVolume.from_numpy(
        volume.T, f"file://{path}", encoding=encoding, layer_type=kind, progress=False, **words
    )
    return path


def write_jxl(path: Path, volume: NDArray[Any], **words: Any) -> Path:
    """Write a volume, without loss, which CloudVolume does not."""
    write(path, volume, "jxl", **words)
    for file in (path / "4_4_40").iterdir():
        spans = [slice(*map(int, text.split("-"))) for text in file.name.split("_")]
        chunk = volume[tuple(spans[::-1])]
        image = np.ascontiguousarray(chunk).reshape(-1, chunk.shape[2])
        file.write_bytes(imagecodecs.jpegxl_encode(image, lossless=True))
    return path


def whole(path: Path | str) -> NDArray[Any]:
    source = Precomputed.open(str(path))
    voxels: NDArray[Any] = source.read(0, source.scales[0].box)
    return voxels


class TestJxl(SourceSuite):
    source = Precomputed
    dtypes = ("uint8",)
    states_voxel_size = True

    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        return write_jxl(folder / "a", volume)


def test_cloudvolume_reads_the_same(tmp_path: Path) -> None:
    z, y, x = np.indices((5, 40, 33))
    path = write(tmp_path / "a", ((3 * x + 2 * y + z) % 251).astype("u1"), "jxl")
    remote = CloudVolume(f"file://{path}", progress=False)
    assert np.array_equal(whole(path), np.asarray(remote[:, :, :])[..., 0].T)


@pytest.mark.parametrize("planes", [False, True])
def test_channels_of_jxl_are_volumes(tmp_path: Path, planes: bool) -> None:
    """Interleaved, as the format has them, or planes, as CloudVolume writes them."""
    volume = random_volume((3, 4, 20, 18), "uint8")
    path = write(tmp_path / "a", volume[0], "jxl", chunk_size=(18, 20, 4))
    info = json.loads((path / "info").read_text())
    (path / "info").write_text(json.dumps({**info, "num_channels": 3}))
    (chunk,) = (path / info["scales"][0]["key"]).iterdir()
    image = volume.reshape(3, 80, 18) if planes else np.moveaxis(volume, 0, -1).reshape(80, 18, 3)
    chunk.write_bytes(imagecodecs.jpegxl_encode(image, photometric="RGB", lossless=True))
    parts = Precomputed.parts(str(path), Files())
    assert [str(part) for part in parts] == ["", "c=1", "c=2"]
    for channel, part in zip(volume, parts, strict=True):
        source = Precomputed.open(str(path), part=part)
        assert np.array_equal(source.read(0, source.scales[0].box), channel)


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda _: b"nothing", lambda _: b""])
def test_a_damaged_chunk_of_jxl_is_named(tmp_path: Path, damage: Any) -> None:
    path = write(tmp_path / "a", random_volume((2, 16, 16), "uint8"), "jxl")
    (chunk,) = (path / "4_4_40").iterdir()
    chunk.write_bytes(damage(chunk.read_bytes()))
    with pytest.raises(SourceError, match=chunk.name):
        whole(path)


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", random_volume((2, 16, 16), "uint8"), "jxl")
    (chunk,) = (path / "4_4_40").iterdir()
    huge = imagecodecs.jpegxl_encode(np.zeros((9000, 9000), "u1"), lossless=True, effort=1)
    chunk.write_bytes(huge)
    with pytest.raises(SourceError, match=rf"{chunk.name}.*9000"):
        whole(path)


@pytest.fixture
def crackle() -> Any:
    return pytest.importorskip("crackle")


@pytest.mark.usefixtures("crackle")
class TestCrackle(SourceSuite):
    source = Precomputed
    dtypes = ("uint8", "uint32", "uint64")

    def write(self, folder: Path, volume: NDArray[Any]) -> Path:
        return write(folder / "a", volume, "crackle", compress="gzip")


def test_crackle_is_decoded_beside_plain_and_packed_chunks(tmp_path: Path, crackle: Any) -> None:
    volume = random_volume((4, 30, 20), "uint64")
    path = write(tmp_path / "a", volume, "crackle")
    for chunk in list((path / "4_4_40").iterdir())[::2]:
        chunk.with_name(f"{chunk.name}.gz").write_bytes(gzip.compress(chunk.read_bytes()))
        chunk.unlink()
    source = Precomputed.open(str(path))
    for box in (source.scales[0].box, BoundingBox((1, 3, 2), (3, 29, 19))):
        assert np.array_equal(source.read(0, box), volume[box.slices])


def test_crackle_in_shards(tmp_path: Path, crackle: Any) -> None:
    """As Igneous writes it."""
    volume = random_volume((4, 16, 32), "uint64")
    path = write(tmp_path / "a", volume, "crackle", chunk_size=(16, 16, 4))
    info = json.loads((path / "info").read_text())
    chunks = sorted((path / "4_4_40").iterdir())
    # Two chunks along x: their numbers are 0 and 1; a third one is missing.
    found = {number: (gzip.compress(file.read_bytes()), b"") for number, file in enumerate(chunks)}
    write_shards(path / "4_4_40", found)
    info["scales"][0]["sharding"] = {**SHARDING, "data_encoding": "gzip"}
    (path / "info").write_text(json.dumps(info))
    for file in chunks:
        file.unlink()
    assert np.array_equal(whole(path), volume)


@pytest.mark.parametrize("kind", ["noise", "blocks"])
def test_damage_of_crackle_is_found(tmp_path: Path, crackle: Any, kind: str) -> None:
    """Its decoder crashes on some damaged data, and does not compare all checksums."""
    volume = random_volume((4, 16, 16), "uint64")
    if kind == "blocks":
        volume = volume[::2, ::8, ::8].repeat(2, 0).repeat(8, 1).repeat(8, 2)
    path = write(tmp_path / "a", volume, "crackle", chunk_size=(16, 16, 4))
    (chunk,) = (path / "4_4_40").iterdir()
    good, chance = chunk.read_bytes(), random.Random(1)
    for _ in range(15):
        data = bytearray(good)
        for _ in range(20):
            data[chance.randrange(29, len(data))] = chance.randrange(256)
        chunk.write_bytes(data)
        with pytest.raises(SourceError, match=chunk.name):
            whole(path)
    for left in (0, 10, 40, len(good) // 2, len(good) - 1):
        chunk.write_bytes(good[:left])
        with pytest.raises(SourceError, match=chunk.name):
            whole(path)
    chunk.write_bytes(good)
    assert np.array_equal(whole(path), volume)


@pytest.mark.parametrize("at", [4, 5, 7, 12, 16])
def test_another_header_of_crackle_is_refused(tmp_path: Path, crackle: Any, at: int) -> None:
    path = write(tmp_path / "a", random_volume((2, 16, 16), "uint64"), "crackle")
    (chunk,) = (path / "4_4_40").iterdir()
    data = bytearray(chunk.read_bytes())
    data[at] ^= 2
    chunk.write_bytes(data)
    with pytest.raises(SourceError, match=chunk.name):
        whole(path)


def test_a_missing_decoder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", random_volume((2, 16, 16), "uint32"), "raw")
    info = (path / "info").read_text()
    (path / "info").write_text(info.replace('"raw"', '"crackle"'))
    monkeypatch.setattr(encodings, "find_spec", lambda _name: None)
    with pytest.raises(MissingLibrary, match=r"bfly\[crackle\]"):
        Precomputed.open(str(path))


@pytest.mark.parametrize("encoding", ["compresso", "fpzip", "zfpc", "kempressed", "npz", "lerc"])
def test_what_is_not_read_is_refused_by_name(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a", random_volume((2, 16, 16), "uint32"), "raw")
    info = (path / "info").read_text()
    (path / "info").write_text(info.replace('"raw"', f'"{encoding}"'))
    with pytest.raises(
        SourceError, match=rf"the encoding (is '{encoding}'|{encoding} is not read)"
    ):
        Precomputed.open(str(path))
