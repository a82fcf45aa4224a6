"""The kind of a channel by its configuration, its voxels, its name and its dtype."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile

from bfly.sources.kinds.judgement import IMAGE, LABELS
from bfly.sources.kinds.measure import measure
from bfly.sources.npy import Npy
from bfly.sources.stack import ImageStack
from bfly.sources.tiff.source import Tiff
from bfly.testing.tissue import tissue

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.sources.source import Datasource


EM, SUPERVOXELS, NEURITES = tissue((16, 128, 128))[:3]

MASK = (NEURITES % 3 == 0).astype("u1")


def npy(path: Path, voxels: np.ndarray[Any, Any]) -> Npy:
    np.save(path, voxels)
    return Npy.open(str(path))


IMAGES = {
    "8 bits": EM,
    "16 bits": EM.astype("u2") * 257,
    "12 bits in 16": EM.astype("u2") * 16 + np.arange(128, dtype="u2") % 16,
    "signed": (EM.astype("i2") - 128) * 100,
    "padded with 0": np.where(np.arange(128) < 60, 0, EM),
    "padded with its least value": np.where(np.arange(128) < 100, -1000, EM.astype("i2") * 8),
    "saturated": np.clip((EM.astype("i4") - 120) * 5, 0, 255).astype("u1"),
    "JPEG": np.stack(
        [imagecodecs.jpeg_decode(imagecodecs.jpeg_encode(each, level=60)) for each in EM]
    ),
    "noise": np.random.default_rng(0).integers(0, 65536, (4, 128, 128), "u2"),
    "a ramp": np.arange(4 * 128 * 128, dtype="u2").reshape(4, 128, 128),
    "probabilities": (255 / (1 + np.exp((140 - EM.astype(float)) / 4))).astype("u1"),
}

IDS = {
    "64 bits": NEURITES,
    "8 bits": (NEURITES % 255 + 1).astype("u1"),
    "16 bits": (SUPERVOXELS % 65535 + 1).astype("u2"),
    "signed": (NEURITES % 32767 + 1).astype("i2"),
    "every second voxel": SUPERVOXELS[:, ::2, ::2].astype("u2"),
    "mask of 0 and 1": MASK,
    "mask of 0 and 255": MASK * np.uint8(255),
    "booleans": MASK.astype(bool),
    "16-bit mask": MASK.astype("u2") * 1000,
    "classes": np.digitize(NEURITES % 7, (2, 4)).astype("u1") + np.uint8(1),
}


@pytest.mark.parametrize("what", IMAGES)
def test_grey_values_are_an_image(what: str, tmp_path: Path) -> None:
    source = npy(tmp_path / "v.npy", IMAGES[what])
    assert (source.kind, source.kind_doubt) == ("image", "")
    assert source.kind_source.startswith("voxels: ")


@pytest.mark.parametrize("what", IDS)
def test_ids_and_masks_are_labels(what: str, tmp_path: Path) -> None:
    source = npy(tmp_path / "v.npy", IDS[what])
    assert (source.kind, source.kind_doubt) == ("segmentation", "")
    assert source.kind_source.startswith("voxels: ")


@pytest.mark.parametrize("threshold", [0, 2])
def test_boundaries_of_zeros_do_not_make_an_image(threshold: int) -> None:
    section = np.repeat(np.repeat(np.arange(1, 401).reshape(20, 20), 6, 0), 6, 1)
    place = np.arange(120) % 6
    section[(place <= threshold)[:, None] | (place <= threshold)] = 0
    assert measure(section).score >= LABELS


def test_measures_of_known_sections() -> None:
    rows = np.repeat(np.arange(1, 5), 4).reshape(1, 16).repeat(16, 0)
    found = measure(rows)
    assert (found.pairs, found.values, found.low, found.high) == (16 * 15, 4, 1, 4)
    assert found.share == pytest.approx(12 / 15)
    assert not found.has_zeros
    board = (np.indices((32, 32)).sum(0) % 2) + 1
    assert measure(board).share == 0
    assert measure(board).score <= IMAGE
    nothing = measure(np.zeros((8, 8), int))
    assert (nothing.pairs, nothing.values, nothing.has_zeros) == (0, 0, True)


@pytest.mark.parametrize(
    ("name", "voxels", "kind", "decided", "doubt"),
    [
        ("v", np.zeros((4, 64, 64), "u2"), "segmentation", "dtype: uint16", "are all 0"),
        ("v", np.full((4, 64, 64), 7, "u1"), "image", "dtype: uint8", "are all 7"),
        ("raw", np.zeros((4, 64, 64), "u2"), "image", "name: raw.npy", "are all 0"),
        ("my_labels", np.zeros((4, 64, 64), "u1"), "segmentation", "name: my_labels", "all 0"),
        ("v", EM.astype("u4"), "segmentation", "dtype: uint32", "uint32 is a dtype of labels"),
        ("em", EM.astype("u8"), "image", "name: em.npy", "uint64 is a dtype of labels"),
        ("v", EM >> 4, "image", "dtype: uint8", "equal their neighbour"),
        ("v", np.eye(64, dtype="u1")[None], "segmentation", "voxels: a mask of 0 and 1", ""),
        ("v", np.ones((3, 4, 5), "u2") * np.arange(5, dtype="u2"), "segmentation", "dtype", "few"),
    ],
)
def test_doubts_are_said(
    name: str,
    voxels: np.ndarray[Any, Any],
    kind: str,
    decided: str,
    doubt: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = npy(tmp_path / f"{name}.npy", voxels)
    with caplog.at_level("INFO", "bfly"):
        assert source.kind == kind
    said = f"{source.path} is served as {kind} ({source.kind_source}): {source.kind_doubt}."
    assert caplog.messages == [said] * bool(doubt)
    assert source.kind_source.startswith(decided)
    assert bool(doubt) == bool(source.kind_doubt)
    assert doubt in source.kind_doubt


def test_names_do_not_overrule_voxels(tmp_path: Path) -> None:
    assert npy(tmp_path / "labels.npy", EM.astype("u2")).kind == "image"
    assert npy(tmp_path / "raw.npy", (NEURITES % 255).astype("u1")).kind == "segmentation"


def test_the_configuration_decides_without_a_look(tmp_path: Path, monkeypatch: Any) -> None:
    np.save(tmp_path / "v.npy", EM)
    source = Npy.open(str(tmp_path / "v.npy"), kind="segmentation")
    monkeypatch.setattr(source, "read", None)
    assert (source.kind, source.kind_source) == ("segmentation", "config")


def test_floats_are_an_image_without_a_look(tmp_path: Path, monkeypatch: Any) -> None:
    source = npy(tmp_path / "labels.npy", EM.astype("f4"))
    monkeypatch.setattr(source, "read", None)
    assert (source.kind, source.kind_source) == ("image", "dtype: float32")


def test_real_volumes_have_their_kinds(tmp_path: Path, data: Path) -> None:
    assert ImageStack.open(str(data / "fib25/grayscale")).kind_source.startswith("voxels")
    for name in ("groundtruth", "oversegmented_stack_labels"):
        packed = (data / f"fib25/{name}.h5.gz").read_bytes()
        with h5py.File(io.BytesIO(gzip.decompress(packed))) as file:
            ids = file["stack"][100:110]
        for dtype in ("i4", "u2", "u1"):
            source = npy(tmp_path / "v.npy", ids.astype(dtype))
            assert (source.kind, source.kind_doubt) == ("segmentation", "")


@pytest.mark.parametrize("form", ["png", "tif"])
def test_coloured_labels_are_no_labels_by_their_luminance(form: str, tmp_path: Path) -> None:
    ids = (NEURITES[:4] % 251).astype("u1")
    coloured = np.stack([ids, 251 - ids, ids // 2], -1)
    (tmp_path / "s").mkdir()
    if form == "tif":
        tifffile.imwrite(tmp_path / "v.tif", coloured, photometric="rgb")
        source: Datasource = Tiff.open(str(tmp_path / "v.tif"))
    else:
        for z, section in enumerate(coloured):
            (tmp_path / f"s/{z}.png").write_bytes(imagecodecs.png_encode(section))
        source = ImageStack.open(str(tmp_path / "s"))
    assert (source.kind, source.kind_source) == ("image", "file: colours")
    assert "65536 B" in source.kind_doubt
    assert source.open(source.path, kind="segmentation").kind_doubt == ""
