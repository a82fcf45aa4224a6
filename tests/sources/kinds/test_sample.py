"""Which voxels are read to decide the kind, and when."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from bfly.errors import Busy, SourceChanged
from bfly.geometry import Scale
from bfly.sources.kinds.sample import boxes
from bfly.sources.npy import Npy
from bfly.sources.stack import ImageStack
from bfly.sources.tiff.source import Tiff
from bfly.testing.tissue import tissue

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.geometry import Zyx
    from bfly.sources.source import Datasource


EM, _, NEURITES = tissue((16, 128, 128))[:3]


def npy(path: Path, voxels: np.ndarray[Any, Any]) -> Npy:
    np.save(path, voxels)
    return Npy.open(str(path))


def reads_of(source: Datasource, monkeypatch: Any) -> list[tuple[int, Any]]:
    """Return a list to which each read of the source is added."""
    reads: list[tuple[int, Any]] = []
    read = source.read

    def noted(mip: int, box: Any) -> Any:
        reads.append((mip, box))
        return read(mip, box)

    monkeypatch.setattr(source, "read", noted)
    return reads


def test_voxels_are_read_once_and_when_they_are_needed(tmp_path: Path, monkeypatch: Any) -> None:
    source = npy(tmp_path / "v.npy", EM.astype("u2"))
    reads = reads_of(source, monkeypatch)
    assert source.scales[0].shape == EM.shape
    assert not reads
    threads = [threading.Thread(target=lambda: source.kind) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.kind_source.startswith("voxels")
    assert 1 <= len(reads) <= 3
    assert all(box.size <= 16 * 96 * 96 and box in source.scales[mip].box for mip, box in reads)


def test_labels_beyond_the_middle_are_found(tmp_path: Path) -> None:
    voxels = np.zeros((8, 400, 400), "u1")
    voxels[:, :128, 272:] = (NEURITES[:8] % 255 + 1).astype("u1")
    assert npy(tmp_path / "v.npy", voxels).kind_source.startswith("voxels: ")


def test_a_coarser_mip_is_read_where_chunks_are_large(tmp_path: Path, monkeypatch: Any) -> None:
    image = np.tile(EM[:1], (1, 24, 24)).astype("u2")
    with tifffile.TiffWriter(tmp_path / "v.tif") as file:
        file.write(image, subifds=2, compression="zlib", rowsperstrip=3072)
        for by in (2, 4):
            file.write(image[:, ::by, ::by], subfiletype=1, compression="zlib", rowsperstrip=3072)
    source = Tiff.open(str(tmp_path / "v.tif"))
    reads = reads_of(source, monkeypatch)
    assert source.kind == "image"
    assert {mip for mip, _ in reads} == {2}


def test_unreadable_voxels_are_said_and_raise_nothing(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for z, section in enumerate(EM.astype("u2")):
        data = imagecodecs.png_encode(section)
        (tmp_path / f"s/{z:03}.png").write_bytes(data if z == 0 else data[: len(data) // 2])
    source = ImageStack.open(str(tmp_path / "s"))
    assert (source.kind, source.kind_source) == ("segmentation", "dtype: uint16")
    assert "cannot be read" in source.kind_doubt
    whole = npy(tmp_path / "v.npy", EM)
    assert whole.kind_doubt == ""


def test_unreadable_parts_leave_it_to_the_others(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for z, section in enumerate(EM.astype("u2")):
        data = imagecodecs.png_encode(section)
        (tmp_path / f"s/{z:03}.png").write_bytes(data[:99] if z == len(EM) // 2 else data)
    source = ImageStack.open(str(tmp_path / "s"))
    assert (source.kind, source.kind_doubt) == ("image", "")


@pytest.mark.parametrize("error", [Busy("later"), SourceChanged("changed")])
def test_what_may_work_later_is_not_decided_now(
    error: Exception, tmp_path: Path, monkeypatch: Any
) -> None:
    source = npy(tmp_path / "v.npy", EM.astype("u2"))

    def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(source, "read", fail)
        with pytest.raises(type(error)):
            _ = source.kind
    assert source.kind == "image"


sizes = st.tuples(st.integers(1, 40), st.integers(1, 700), st.integers(1, 700))


@given(shape=sizes, chunk=sizes, touched=st.integers(1, 64))
def test_boxes_are_few_and_small(shape: Zyx, chunk: Zyx, touched: int) -> None:
    scale = Scale(shape, chunk)
    found = list(boxes(scale, touched))
    assert 1 <= len(found) == len(set(found)) <= 13
    for box in found:
        assert 1 <= box.size <= 16 * 96 * 96
        assert box in scale.box
        assert box.in_tiles(scale.chunk).size <= touched


def test_a_read_may_ask_for_the_kind(tmp_path: Path, monkeypatch: Any) -> None:
    source = npy(tmp_path / "v.npy", EM.astype("u2"))
    read, kinds = source.read, []

    def asking(mip: int, box: Any) -> Any:
        kinds.append(source.kind)
        return read(mip, box)

    monkeypatch.setattr(source, "read", asking)
    assert source.kind == "image"
    assert set(kinds) == {"segmentation"}


def test_a_sparse_mask_is_found(tmp_path: Path) -> None:
    mask = np.zeros((12, 300, 300), "u1")
    mask[1:3, 255:270, 140:160] = 255
    assert npy(tmp_path / "v.npy", mask).kind_source == "voxels: a mask of 0 and 255"
