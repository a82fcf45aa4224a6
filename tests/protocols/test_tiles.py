"""Tiles in three planes, and Deep Zoom, against numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

import h5py
import imagecodecs
import numpy as np
import pytest

from bfly.downsample import downsample

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

OFFSET = (3, 8, 16)
ROOT = "/tiles/exp::sam::dat"


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (20, 700, 1300), np.uint8)


@pytest.fixture(scope="module")
def client(volume, tmp_path_factory, serve, make_tree) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("tiles")
    with h5py.File(folder / "em.h5", "w") as file:
        file.create_dataset("main", data=volume, chunks=(8, 128, 128))
    with h5py.File(folder / "seg.h5", "w") as file:
        file["main"] = volume.astype("u8")
    channels = [
        {"name": n, "path": str(folder / f"{n}.h5"), "voxel_offset": OFFSET} for n in ("em", "seg")
    ]
    with serve(make_tree(*channels)) as client:
        yield client


def picture(client: httpx.Client, path: str) -> np.ndarray:
    got = client.get(f"{ROOT}/em/{path}")
    assert got.status_code == 200, got.text
    return imagecodecs.png_decode(got.content)


@pytest.mark.parametrize("mip", [0, 1, 2])
def test_every_tile_of_a_section(client, volume, mip) -> None:
    whole = volume if mip == 0 else downsample(volume, OFFSET, (1, 2**mip, 2**mip), "image")
    section = whole[5]
    rows, columns = (-(-n // 512) for n in section.shape)
    for plane in ("", "xy/"):
        found = np.block(
            [
                [
                    picture(client, f"{plane}{mip}/{5 + OFFSET[0]}/{r}/{c}.png")
                    for c in range(columns)
                ]
                for r in range(rows)
            ]
        )
        assert np.array_equal(found, section)


def test_the_other_planes(client, volume) -> None:
    assert np.array_equal(
        picture(client, f"xz/0/{40 + OFFSET[1]}/0/1.png"), volume[:, 40, 512:1024]
    )
    assert np.array_equal(picture(client, f"yz/0/{40 + OFFSET[2]}/0/1.png"), volume[:, 512:, 40])
    half = downsample(volume, OFFSET, (1, 2, 2), "image")
    assert np.array_equal(picture(client, f"yz/1/{40 + OFFSET[2] // 2}/0/0.png"), half[:, :, 40])


@pytest.mark.parametrize("plane", ["", "xz/"])
def test_levels_of_an_image(client, volume, plane) -> None:
    place = f"{plane}0/{OFFSET[1 if plane else 0]}/0/0.png"
    plain = picture(client, place)
    found = picture(client, f"{place}?range=-50,100.5")
    assert found.dtype == np.uint8
    expected = np.clip((plain + 50.0) / 150.5, 0, 1) * 255
    assert np.abs(found - expected).max() <= 1
    zoomed = picture(client, f"{OFFSET[0]}_files/11/0_0.png?range=9,10")
    assert set(np.unique(zoomed)) == {0, 255}
    assert np.array_equal(picture(client, f"{place}?range="), plain)


def test_labels_have_no_levels(client) -> None:
    path = f"{ROOT}/seg/0/{OFFSET[0]}/0/0.png"
    assert client.get(f"{path}?range=1,2").content == client.get(path).content


@pytest.mark.parametrize(
    "text", ["5", "5,5", "6,5", "a,b", "1,2,3", "nan,1", "0,inf", "-1e308,1e308"]
)
def test_levels_that_are_none(client, text) -> None:
    got = client.get(f"{ROOT}/em/0/{OFFSET[0]}/0/0.png", params={"range": text})
    assert got.status_code == 400
    assert f"The range {text} is not two numbers LOW,HIGH" in got.text


def test_formats_and_views(client, volume) -> None:
    place = f"0/{OFFSET[0]}/0/0"
    jpg = client.get(f"{ROOT}/em/{place}.jpg")
    webp = client.get(f"{ROOT}/em/{place}.webp")
    assert jpg.headers["content-type"] == "image/jpeg"
    assert webp.headers["content-type"] == "image/webp"
    assert imagecodecs.webp_decode(webp.content).shape == (512, 512, 3)
    labels = imagecodecs.png_decode(client.get(f"{ROOT}/seg/{place}.png?view=rgb").content)
    assert np.array_equal(labels[..., 0], volume[0, :512, :512])
    assert not labels[..., 1:].any()


def test_deep_zoom(client, volume) -> None:
    got = client.get(f"{ROOT}/em/{OFFSET[0] + 2}.dzi")
    assert got.headers["content-type"] == "application/xml"
    image = ElementTree.fromstring(got.text)
    size = image[0].attrib
    assert (image.attrib["Format"], image.attrib["TileSize"]) == ("png", "512")
    assert (size["Width"], size["Height"]) == ("1300", "700")
    top = 11
    for level in range(top + 1):
        section = volume[2]
        if level < top:
            size_of = 1 << top - level
            section = downsample(volume[2:3], (0, 0, 0), (1, size_of, size_of), "image")[0]
        found = picture(client, f"{OFFSET[0] + 2}_files/{level}/0_0.png")
        assert np.array_equal(found, section[:512, :512])
    assert picture(client, f"{OFFSET[0]}_files/11/2_1.png").shape == (188, 276)
    assert client.get(f"{ROOT}/em/{OFFSET[0]}.jpg.dzi").text.count('Format="jpg"') == 1
    assert client.get(f"{ROOT}/em/{OFFSET[0]}.rgb.dzi").text.count('Format="png"') == 1


def test_deep_zoom_in_the_folder_of_its_name(client, volume) -> None:
    """Viewers replace the last ending of the descriptor's address by ``_files``."""
    z = OFFSET[0] + 2
    grey = picture(client, f"{z}_files/11/0_0.png")
    colours = picture(client, f"{z}.rgb_files/11/0_0.png")
    assert np.array_equal(colours, np.stack([grey] * 3, axis=-1))
    for folder, shape in ((".jpg", (512, 512)), (".rgb.jpg", (512, 512, 3))):
        jpg = client.get(f"{ROOT}/em/{z}{folder}_files/11/0_0.jpg")
        assert imagecodecs.jpeg_decode(jpg.content).shape == shape
    twice = client.get(f"{ROOT}/em/{z}_files/11//0_0.png")
    assert np.array_equal(imagecodecs.png_decode(twice.content), grey)


@pytest.mark.parametrize(
    "path",
    [
        "0/2/0/0.png",
        "0/3/2/0.png",
        "0/3/0/3.png",
        "xx/0/3/0/0.png",
        "0/3/0/0.gif",
        "99/3/0/0.png",
        "3_files/12/0_0.png",
        "3_files/11/9_0.png",
        "3.dzx",
        "",
    ],
)
def test_what_is_not_there(client, path) -> None:
    assert client.get(f"{ROOT}/em/{path}").status_code == 404
