"""BossDB: what Neuroglancer's boss source asks for, formats and mistakes."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

import blosc
import h5py
import imagecodecs
import numpy as np
import pytest

from tests.fixtures.boss import AT, cutout, ranges, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.fixtures.channels import Channel


# Neuroglancer


def test_neuroglancer_finds_every_field(channel: Channel) -> None:
    get = channel.client.get
    experiment = get(f"/latest/collection/exp/experiment/{AT.partition('/')[2]}/").json()
    assert channel.name in experiment["channels"]
    assert (experiment["name"], experiment["collection"]) == ("sam::dat", "exp")
    assert experiment["num_hierarchy_levels"] == len(channel.mips)
    frame = get(f"/latest/coord/{experiment['coord_frame']}/").json()
    found = get(f"/latest/collection/exp/experiment/sam::dat/channel/{channel.name}/").json()
    words = {"type", "downsample_status", "description", "datatype", "name", "base_resolution"}
    assert words <= set(found)
    scales = get(f"/latest/downsample/{AT}/{channel.name}").json()
    assert scales["num_hierarchy_levels"] == len(channel.mips)
    for mip in channel.mips:
        size = np.array(scales["voxel_size"][str(mip)])[::-1]
        np.testing.assert_allclose(size, channel.scale(mip), rtol=1e-12)
        end = channel.origin(mip) + channel.at_mip(mip).shape
        assert scales["extent"][str(mip)] == end[::-1].tolist()
    base = [frame[f"{axis}_voxel_size"] for axis in "xyz"]
    assert scales["voxel_size"]["0"] == base


def test_neuroglancer_reads_chunks(channel: Channel) -> None:
    """From voxel 0 to the extent, in blocks of 512 x 512 x 16 that are cut off at the end."""
    for mip in channel.mips[1:]:
        end = channel.origin(mip) + channel.at_mip(mip).shape
        expected = np.pad(channel.at_mip(mip), [(int(n), 0) for n in channel.origin(mip)])
        for z in range(0, int(end[0]), 16):
            box = ranges((z, 0, 0), np.minimum(end, (z + 16, 512, 512)))
            answer = cutout(channel, mip, box, "application/npygz")
            assert answer.headers["content-type"] == "application/npygz"
            assert answer.headers["vary"] == "accept, origin"
            found = np.load(io.BytesIO(zlib.decompress(answer.content)))
            assert found.dtype == ("u1" if channel.kind == "image" else "u8")
            assert np.array_equal(found, expected[z : z + 16])


def test_neuroglancer_reads_jpeg(fib25_served: dict[str, Channel]) -> None:
    channel = fib25_served["grayscale"]
    box = [[0, 250], [10, 200], [16, 32]]
    answer = cutout(channel, 0, box, "image/jpeg")
    assert answer.headers["content-type"] == "image/jpeg"
    picture = imagecodecs.jpeg8_decode(answer.content)
    expected = channel.voxels[16:32, 10:200, :250]
    assert picture.shape == (16 * 190, 250)
    error = picture.reshape(expected.shape).astype(float) - expected
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 35


# Others


def test_formats_of_one_address_are_kept_apart(seg: Channel) -> None:
    box = whole(seg, 1)
    expected = seg.at_mip(1)
    for _ in range(2):
        frame = cutout(seg, 1, box, "application/blosc")
        npy = cutout(seg, 1, box, "text/html, application/npygz;q=0.9, application/blosc;q=0.1")
        assert np.array_equal(
            np.frombuffer(blosc.decompress(frame.content), "u8"), expected.ravel()
        )
        found = np.load(io.BytesIO(zlib.decompress(npy.content)))
        assert np.array_equal(found, expected)
        assert frame.headers["etag"] != npy.headers["etag"]
    again = seg.client.get(
        frame.url, headers={"accept": "application/blosc", "if-none-match": frame.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("cutout/exp/sam::dat/foo/0/0:1/0:1/0:1/", 400, "The channel foo is not in ['seg']."),
        ("cutout/exp/sam::dat/seg/0/5:3/0:1/0:1/", 400, "The range of x 5:3 is not start:stop"),
        ("cutout/exp/sam::dat/seg/0/0:1/0:1/0/", 400, "The range of z 0 is not start:stop"),
        ("cutout/exp/sam::dat/seg/0/0:1/0:1/0:1/1:2/", 400, "The range of time 1:2 is not 0:1."),
        ("cutout/exp/sam::dat/seg/x/0:1/0:1/0:1/", 400, "The resolution x is not an integer."),
        ("cutout/exp/sam::dat/seg/0/0:1/0:1/0:1/?filter=a", 400, "The filter a is not an integer"),
        ("cutout/exp/sam/seg/0/0:1/0:1/0:1/", 404, "exp::sam is not experiment::sample::dataset"),
        ("cutout/exp/sam::dat/seg/0/0:1/", 404, "the services are ['boundingbox', 'collection'"),
        ("cutout/exp/sam::dat/seg/0/0:99999/0:99999/0:9/", 413, "max-cutout-size"),
        ("boundingbox/exp/sam::dat/seg/0/7/", 404, "There is no label 7 at resolution 0."),
        ("boundingbox/exp/sam::dat/seg/0/7/?type=a", 400, "type a is not in ['loose', 'tight']"),
        ("reserve/exp/sam::dat/seg/0", 400, "The number of ids 0 is not from 1"),
        (f"reserve/exp/sam::dat/seg/{2**63}", 400, "There are no 9223372036854775808 ids above"),
        ("collection/foo", 400, "The experiment foo is not in ['exp']."),
        ("collection/exp/experiment/sam::foo", 400, "The dataset foo is not in ['dat']."),
        ("meta/exp/foo::dat", 400, "The sample foo is not in ['sam']."),
        ("meta/exp/sam::dat/seg/more", 404, "the services are ['boundingbox'"),
        ("groups/", 404, "the services are ['boundingbox'"),
        ("", 404, "the services are ['boundingbox'"),
    ],
)
def test_mistakes(seg: Channel, path: str, status: int, message: str) -> None:
    answer = seg.client.get(f"/v1/{path}")
    assert (answer.status_code, message in answer.text) == (status, True), answer.text


@pytest.fixture(scope="module")
def several(
    tmp_path_factory: pytest.TempPathFactory, serve: Callable, make_tree: Callable
) -> Iterator[httpx.Client]:
    """Channels of one dataset at different places, one of them broken."""
    folder = tmp_path_factory.mktemp("boss")
    channels = []
    for name, offset, shape in (("a", (-2, 5, 6), (9, 70, 80)), ("b", (1, 0, 9), (20, 30, 150))):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=np.ones(shape, "f4" if name == "a" else "u2"))
        channels.append({"name": name, "path": str(folder / f"{name}.h5"), "voxel_offset": offset})
    channels[1] |= {"voxel_size": [30, 4, 4], "short-description": "EM"}
    (folder / "c.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with serve(make_tree(*channels, {"name": "c", "path": str(folder / "c.h5")})) as client:
        yield client


def test_a_frame_holds_all_channels(several: httpx.Client) -> None:
    frame = several.get("/v1/coord/exp::sam::dat").json()
    assert [frame[f"{axis}_start"] for axis in "zyx"] == [-2, 0, 0]
    assert [frame[f"{axis}_stop"] for axis in "zyx"] == [21, 75, 159]
    assert [frame[f"{axis}_voxel_size"] for axis in "zyx"] == [30, 4, 4]
    scales = several.get(f"/v1/downsample/{AT}/a").json()
    assert scales["extent"] == {"0": [86, 75, 9], "1": [43, 38, 9]}
    assert scales["voxel_size"]["1"] == [8, 8, 30]
    about = several.get(f"/v1/collection/{AT.replace('/', '/experiment/')}/channel/b").json()
    assert (about["description"], about["datatype"]) == ("EM", "uint16")


def test_a_broken_channel_hides_itself_alone(several: httpx.Client) -> None:
    experiment = several.get("/v1/collection/exp/experiment/sam::dat").json()
    assert experiment["channels"] == ["a", "b"]
    names = several.get("/v1/collection/exp/experiment/sam::dat/channel/").json()
    assert names == {"channels": ["a", "b", "c"]}
    broken = several.get(f"/v1/downsample/{AT}/c")
    assert broken.status_code == 503
    assert "The channel c cannot be used" in broken.text
    assert several.get(f"/v1/cutout/{AT}/c/0/0:1/0:1/0:1/").status_code == 503
