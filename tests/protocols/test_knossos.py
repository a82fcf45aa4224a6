"""KNOSSOS: descriptions of datasets, and cubes."""

from __future__ import annotations

import io
import tomllib
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import numpy as np
import pytest

from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.encoders.snappy_zip import SnappyZip
from bfly.errors import BadRequest
from bfly.storage.files import Files
from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.fixtures.channels import Channel


def unpacked(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return bytes(imagecodecs.snappy_decode(archive.read(archive.namelist()[0])))


@pytest.fixture
def client(tmp_path: Path, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    """A server of channels of several dtypes."""
    folder = tmp_path / "a b"
    folder.mkdir()
    for name in ("uint8", "uint16", "uint32", "int32", "float32"):
        voxels = random_volume((4, 8, 8), name)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["main"] = np.abs(voxels) if name == "float32" else voxels
    with serve(Config(experiments=scan(str(folder), Files()).experiments)) as client:
        yield client


def test_a_dataset_has_the_layers_that_knossos_shows(client: httpx.Client) -> None:
    answer = client.get("/knossos/root/a b/a b.k.toml")
    assert answer.headers["content-type"] == "application/toml"
    layers = tomllib.loads(answer.text)["Layer"]
    found = {layer["Name"]: layer["FileExtension"] for layer in layers}
    labels = [".seg.sz.zip"]
    assert found == {"uint8.h5": [".raw"], "uint32.h5": labels, "int32.h5": labels}
    url = f"{client.base_url}/knossos/root/a%20b/a%20b/uint8.h5"
    assert next(layer["URL"] for layer in layers if layer["Name"] == "uint8.h5") == url
    other = client.get("/knossos/root/a b/a b.k.toml", headers={"host": "127.0.0.1:7"})
    assert 'URL = "http://127.0.0.1:7/knossos/root' in other.text


@pytest.mark.parametrize("name", ["uint16", "float32"])
def test_images_that_knossos_does_not_show_are_refused(client: httpx.Client, name: str) -> None:
    for path in (".k.toml", "/mag1/x0000/y0000/z0000/n_mag1_x0000_y0000_z0000.raw"):
        answer = client.get(f"/knossos/root/a b/a b/{name}.h5{path}")
        assert answer.status_code == 404
        assert f"KNOSSOS shows no {name} image" in answer.text


def test_a_negative_label_is_refused(client: httpx.Client) -> None:
    cube = "mag1/x0000/y0000/z0000/n_mag1_x0000_y0000_z0000.seg.sz.zip"
    answer = client.get(f"/knossos/root/a b/a b/int32.h5/{cube}")
    assert answer.status_code == 400
    assert "a voxel is -" in answer.text


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("exp/sam/dat", "only EXPERIMENT/SAMPLE/DATASET.k.toml"),
        ("exp/sam/dat/seg/mag1/x0/y0/z0/a_x0_y0_z0.seg.sz.zip", "only EXPERIMENT"),
        ("exp/sam/dat/seg/mag1/x0000/y0000/z0000/a_x0000_y0000_z0001.seg.sz.zip", "only EXP"),
        ("exp/sam/dat/seg/mag1/x0000/y0000/z0000/a_x0000_y0000_z0000.raw", "only .seg.sz.zip"),
        ("exp/sam/dat/seg/mag0/x0000/y0000/z0000/a_x0000_y0000_z0000.seg.sz.zip", "no mag 0"),
        ("exp/sam/dat/seg/mag9/x0000/y0000/z0000/a_x0000_y0000_z0000.seg.sz.zip", "of mag 9"),
        ("exp/sam/dat/seg/mag1/x0900/y0000/z0000/a_x0900_y0000_z0000.seg.sz.zip", "no cube at"),
        ("exp/sam/dat/seg/mag9", "There is no mag 9; there are 1 to 3"),
    ],
)
def test_there_is_nothing_else(seg: Channel, path: str, reason: str) -> None:
    answer = seg.client.get(f"/knossos/{path}")
    assert answer.status_code == 404
    assert reason in answer.text


def test_a_name_that_is_unknown_is_said(seg: Channel) -> None:
    for path in ("exp/sam/no.k.toml", "exp/sam/dat/no.k.toml", "exp/sam/dat/no/mag1"):
        assert seg.client.get(f"/knossos/{path}").status_code == 400


def test_mags_are_there_for_those_who_look(seg: Channel) -> None:
    """knossos_utils asks for the folder of each."""
    answers = [seg.client.get(f"/knossos/exp/sam/dat/seg/mag{mag}") for mag in (1, 2, 3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[1].json()["VoxelSize_nm"] == list(seg.scale(1)[::-1])


def test_labels_have_64_bits() -> None:
    voxels = random_volume((2, 3, 4), "uint16")
    data = unpacked(SnappyZip().encode(voxels))
    np.testing.assert_array_equal(np.frombuffer(data, "<u8").reshape(2, 3, 4), voxels)
    with pytest.raises(BadRequest, match="a voxel is -1"):
        SnappyZip().encode(np.full((1, 1, 1), -1, "int8"))
