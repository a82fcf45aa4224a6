"""NDStore: every file against numpy."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

import blosc
import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile

from bfly.encoders.unsigned import unsigned
from bfly.encoders.views import render

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fixtures.channels import Channel

TOKEN = "exp::sam::dat"

SERVICES = ("nd/sd", "nd/ca", "ocp/ca")


def get(channel: Channel, path: str, service: str = "nd/sd") -> Any:
    return channel.client.get(f"/{service}/{TOKEN}/{channel.name}/{path}")


def spans(first: Any, shape: Any) -> str:
    """Return a box (zyx) as x,x/y,y/z,z."""
    return "/".join(f"{a},{a + n}" for a, n in zip(first[::-1], shape[::-1], strict=True))


def rendered(channel: Channel, voxels: np.ndarray) -> np.ndarray:
    """Return the pixels of sections, stacked downwards."""
    return np.concatenate(list(render(voxels, "grayscale", channel.kind)))


# Files


def decoded(file: str, data: bytes, channel: Channel, like: np.ndarray) -> np.ndarray:
    """Read a file of voxels as other programs do."""
    if file == "hdf5":
        with h5py.File(io.BytesIO(data)) as hdf5:
            return hdf5[channel.name]["CUTOUT"][:]
    if file == "npz":
        return np.load(io.BytesIO(zlib.decompress(data)))[0]
    if file == "blosc":
        return blosc.unpack_array(data)[0]
    if file == "zip":
        return np.frombuffer(zlib.decompress(data), like.dtype).reshape(like.shape)
    # The sections of a TIFF of one page are below each other.
    return tifffile.imread(io.BytesIO(data)).reshape(like.shape)


FILES = ["hdf5", "npz", "blosc", "zip", "tif", "tiff", "tiff-stack"]


@pytest.mark.parametrize("file", FILES)
def test_cutouts_hold_every_voxel(channel: Channel, file: str) -> None:
    for mip in channel.mips[1:]:
        voxels = channel.with_all_sections(mip)
        answer = get(channel, f"{file}/{mip}/{spans(channel.first_section(mip), voxels.shape)}/")
        found = decoded(file, answer.content, channel, voxels)
        assert found.dtype == voxels.dtype
        assert np.array_equal(found, voxels)


@pytest.mark.parametrize("file", FILES)
def test_cutouts_of_a_part(channel: Channel, file: str) -> None:
    part = channel.voxels[3:9, 5:50, 7:80]
    box = spans(np.add(channel.voxel_offset, (3, 5, 7)), part.shape)
    for service in SERVICES:
        for end in ("", "/", "/neariso/"):
            answer = get(channel, f"{file}/0/{box}{end}", service)
            assert np.array_equal(decoded(file, answer.content, channel, part), part)


def test_pictures_of_cutouts_stack_the_sections(channel: Channel) -> None:
    part = channel.with_all_sections(1)[2:5, 5:50, 7:60]
    box = spans(np.add(channel.first_section(1), (2, 5, 7)), part.shape)
    expected = rendered(channel, part)
    png = get(channel, f"png/1/{box}/")
    assert png.headers["content-type"] == "image/png"
    assert np.array_equal(imagecodecs.png_decode(png.content), expected)
    jpg = get(channel, f"jpg/1/{box}/")
    assert jpg.headers["content-type"] == "image/jpeg"
    assert imagecodecs.jpeg8_decode(jpg.content).shape == expected.shape


@pytest.mark.parametrize("plane", ["xy", "XY", "xz", "yz"])
def test_slices_at_every_mip(channel: Channel, plane: str) -> None:
    axis = {"xy": 0, "xz": 1, "yz": 2}[plane.lower()]
    for mip in channel.mips:
        voxels, first = channel.with_all_sections(mip), channel.first_section(mip)
        at = voxels.shape[axis] // 3
        asked = spans(first, voxels.shape).split("/")
        asked[2 - axis] = str(first[axis] + at)
        answer = get(channel, f"{plane}/{mip}/{'/'.join(asked)}/")
        section = np.take(voxels, [at], axis)
        # Rows of xy are y; rows of the other planes are z.
        section = np.moveaxis(section, axis, 0)
        if axis:
            assert answer.headers["content-type"] == "image/png"
            found = imagecodecs.png_decode(answer.content)
            assert np.array_equal(found, rendered(channel, section))
        else:
            assert answer.headers["content-type"] == "image/tiff"
            (page,) = tifffile.TiffFile(io.BytesIO(answer.content)).pages
            assert page.dtype == voxels.dtype
            assert np.array_equal(page.asarray(), section[0])


# Words


def test_info(channel: Channel) -> None:
    for service in SERVICES:
        info = channel.client.get(f"/{service}/{TOKEN}/info/").json()
        dataset = info["dataset"]
        assert dataset["description"] == TOKEN
        assert dataset["resolutions"] == list(channel.mips)
        for mip in channel.mips:
            shape = channel.with_all_sections(mip).shape
            assert dataset["imagesize"][str(mip)] == list(shape[::-1])
            assert dataset["offset"][str(mip)] == channel.first_section(mip)[::-1].tolist()
            assert len(dataset["cube_dimension"][str(mip)]) == 3
            voxel_size = np.array(channel.voxel_size) * (1, 2**mip, 2**mip)
            np.testing.assert_allclose(dataset["voxelres"][str(mip)], voxel_size[::-1])
        for name in ("voxelres", "imagesize", "offset"):
            assert dataset[f"neariso_{name}"] == dataset[name]
        assert info["project"] == {"name": TOKEN, "description": TOKEN, "version": "0.0"}
        about = info["channels"][channel.name]
        assert about["datatype"] == unsigned(channel.voxels.dtype).name
        kind = "annotation" if channel.kind == "segmentation" else "image"
        assert about["channel_type"] == kind
        assert info["metadata"] == {}


@pytest.mark.parametrize(
    "path", ["/nd/sd/public_tokens/", "/nd/ca/public_tokens", "/ocp/ca//public_tokens/"]
)
def test_public_tokens(seg: Channel, path: str) -> None:
    assert seg.client.get(path).json() == [TOKEN]


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    return {"name": "broken", "path": str(tmp_path / "broken.h5")}


def test_a_broken_channel_hides_itself_alone(
    serve: Callable, make_tree: Callable, broken: dict[str, str], tmp_path: Path
) -> None:
    for name, offset in (("a", (-2, 5, 6)), ("b", (1, 0, 9))):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=np.ones((9, 70, 80), "u2"))
        broken[name] = {"name": name, "path": str(tmp_path / f"{name}.h5"), "voxel_offset": offset}
    channels = [broken.pop("a"), broken.pop("b"), broken]
    with serve(make_tree(*channels)) as client:
        info = client.get(f"/nd/sd/{TOKEN}/info/").json()
    assert list(info["channels"]) == ["a", "b"]
    assert info["dataset"]["offset"] == {"0": [6, 0, -2], "1": [3, 0, -2]}
    assert info["dataset"]["imagesize"] == {"0": [83, 75, 12], "1": [42, 38, 12]}


def test_a_token_of_nothing_but_broken_channels(
    serve: Callable, make_tree: Callable, broken: dict[str, str]
) -> None:
    with serve(make_tree(broken)) as client:
        answer = client.get(f"/nd/sd/{TOKEN}/info/")
        assert (answer.status_code, "can be used" in answer.text) == (503, True)
    with serve(make_tree()) as client:
        answer = client.get(f"/nd/sd/{TOKEN}/info/")
        assert (answer.status_code, answer.text) == (404, f"There is no channel in {TOKEN}.\n")


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (f"nd/sd/{TOKEN}/foo/hdf5/0/0,1/0,1/0,1/", 400, "The channel foo is not in ['seg']."),
        (f"nd/sd/{TOKEN}/seg/foo/0/0,1/0,1/0,1/", 400, "The format foo is not in ["),
        (f"nd/sd/{TOKEN}/seg/hdf5/a/0,1/0,1/0,1/", 400, "The resolution a is not an integer."),
        (f"nd/sd/{TOKEN}/seg/hdf5/0/5,1/0,1/0,1/", 400, "The x 5,1 is empty"),
        (f"nd/sd/{TOKEN}/seg/hdf5/0/0,1/b/0,1/", 400, "The y b is neither a whole number nor"),
        (f"nd/sd/{TOKEN}/seg/xz/0/0,1/0,2/0,1/", 400, "is not one section of the plane xz"),
        (f"nd/sd/{TOKEN}/seg/zip/0/0,99999/0,99999/0,9/", 413, "max-cutout-size"),
        (f"nd/sd/{TOKEN}/seg/hdf5/0/0,1/0,1/", 404, "There is no"),
        (f"nd/xx/{TOKEN}/info/", 404, "There is no service xx, only ['sd', 'ca']."),
        ("nd/sd/exp::sam/info/", 404, "exp::sam is not experiment::sample::dataset."),
        ("ocp/ca/exp::sam::foo/info/", 400, "The dataset foo is not in ['dat']."),
        ("ocp/", 404, "There is no service"),
    ],
)
def test_mistakes(seg: Channel, path: str, status: int, message: str) -> None:
    answer = seg.client.get(f"/{path}")
    assert (answer.status_code, message in answer.text) == (status, True), answer.text
