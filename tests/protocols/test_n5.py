"""N5: metadata and blocks as the specification and Neuroglancer have them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.fixtures.channels import Channel

ROOT = "/n5/exp::sam::dat/seg"


def test_the_group_says_what_its_scales_are(channel: Channel) -> None:
    group = channel.client.get(f"{channel.url('n5')}/attributes.json").json()
    size = list(channel.voxel_size[::-1])
    assert (group["axes"], group["units"]) == (["x", "y", "z"], ["nm", "nm", "nm"])
    assert group["resolution"] == size
    assert group["pixelResolution"] == {"dimensions": size, "unit": "nm"}
    assert group["multiScale"] is True
    assert group["downsamplingFactors"] == [list(channel.factor(mip)[::-1]) for mip in channel.mips]


def test_an_array_says_its_own_voxel_size_and_place(channel: Channel) -> None:
    for mip in channel.mips:
        array = channel.client.get(f"{channel.url('n5')}/s{mip}/attributes.json").json()
        assert array["dimensions"] == list(channel.at_mip(mip).shape[::-1])
        # Neuroglancer multiplies these two if both are there.
        assert "downsamplingFactors" not in array
        np.testing.assert_allclose(array["resolution"], channel.scale(mip)[::-1])
        assert array["pixelResolution"] == {"dimensions": array["resolution"], "unit": "nm"}
        first = (channel.origin(mip) + 0.5) * channel.scale(mip)
        # In C order, unlike all other attributes: worldarray and n5-viewer read it so.
        transform = array["transform"]
        assert (transform["axes"], transform["ordering"]) == (["z", "y", "x"], "C")
        assert transform["units"] == ["nm"] * 3
        np.testing.assert_allclose(transform["translate"], first)
        assert transform["scale"] == array["resolution"][::-1]


def test_blocks_end_with_the_volume(seg: Channel) -> None:
    block = seg.client.get(f"{ROOT}/s0/6/4/1").content
    header = np.frombuffer(block[:4], ">u2").tolist(), np.frombuffer(block[4:16], ">u4").tolist()
    assert header == ([0, 3], [200 - 192, 150 - 128, 50 - 32])
    voxels = np.frombuffer(gzip.decompress(block[16:]), ">u8").reshape(18, 22, 8)
    assert np.array_equal(voxels, seg.voxels[32:, 128:, 192:])


@pytest.mark.parametrize(
    "path",
    [
        "/n5/attributes.json",
        "/n5/exp::sam::dat/attributes.json",
        f"{ROOT}",
        f"{ROOT}/s3/attributes.json",
        f"{ROOT}/0/attributes.json",
        f"{ROOT}/.zarray",
        f"{ROOT}/zarr.json",
        f"{ROOT}/s0/7/0/0",
        f"{ROOT}/s0/0/5/0",
        f"{ROOT}/s0/0/0/2",
        f"{ROOT}/s3/0/0/0",
        f"{ROOT}/s99/0/0/0",
        f"{ROOT}/s0/0/0",
    ],
)
def test_what_is_not_there_is_404(seg: Channel, path: str) -> None:
    for method in ("HEAD", "GET"):
        assert seg.client.request(method, path).status_code == 404


@pytest.mark.parametrize("path", ["attributes.json", "s1/attributes.json", "s1/0/1/0"])
def test_head_and_conditions_go_by_one_etag(seg: Channel, path: str) -> None:
    got = seg.client.get(f"{ROOT}/{path}")
    head = seg.client.head(f"{ROOT}/{path}")
    assert (head.status_code, head.headers["etag"]) == (200, got.headers["etag"])
    same = {"if-none-match": got.headers["etag"]}
    assert seg.client.get(f"{ROOT}/{path}", headers=same).status_code == 304
