"""A replay of the clients of the first Butterfly: voxels, as they ask for them and read them.

The first's own answers are those of its source. ``better`` says where ours differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml

from tests.fixtures.first import GROUPS, OFFSET, TOKEN, Cortex, Near, Row
from tests.fixtures.first_readers import (
    allowed_origin,
    as_it_is,
    bmp,
    click,
    colours,
    data,
    extents,
    hdf5,
    inflated,
    jpeg,
    jpeg_chunk,
    kinds,
    location,
    ndstore,
    npz,
    plane,
    png,
    precomputed,
    raw,
    speed,
    texture,
    tiff,
    tile,
)

if TYPE_CHECKING:
    import httpx

ND, PRE = f"/nd/sd/{TOKEN}", f"/pre/{TOKEN}"
BOX = np.s_[3, 200:230, 100:140]
"""What the documented addresses ask for."""

SIZES = [[260, 300, 12], [130, 150, 12], [65, 75, 12], [33, 38, 12]]
SCALES = [(mip, size, [4 << mip, 4 << mip, 40], [0, 0, 0]) for mip, size in enumerate(SIZES)]
INFO = {"mesh": None, "scales": [(str(mip), *scale) for mip, *scale in SCALES]}
KINDS = {"em": ("image", "uint8"), "seg": ("segmentation", "uint32")}

STRIDED = "the first took every second voxel of an image, not the mean"
ALIKE = "the first gave the full size at every mip, 4 x 4 x 30 nm always, and meshes that were not"
ONLY = "the first had png, jpg, bmp, tif, npz and zip at /nd, and refused this format with 400"

# fmt: off
ROWS = [
    # The viewer: layers of OpenSeadragon, 1NAME for labels as zip tiles, 0NAME for pictures
    Row("viewer", "a tile", tile("0em", 1, 1, 0, 5),
        png, lambda d: d.em[5, :128, 128:256]),
    Row("viewer", "the last tile", tile("0em", 1, 2, 2),
        png, lambda d: d.em[0, 256:, 256:]),
    Row("viewer", "a tile far away", tile("0em", 0, 0, 1),
        png, lambda d: d.mean(2)[0, 128:, :128], STRIDED),
    Row("viewer", "labels", tile("1seg", 1, 0, 1),
        texture(128, 128), lambda d: d.seg[0, 128:256, :128].astype(int)),
    Row("viewer", "the last labels", tile("1seg", 1, 2, 2, 4),
        texture(4, 44), lambda d: d.seg[4, 256:, 256:].astype(int)),
    Row("viewer", "labels far away", tile("1seg", 0, 1, 1),
        texture(2, 22), lambda d: d.seg[0, 256::2, 256::2].astype(int)),
    Row("viewer", "the id at a click", tile("1seg", 1, 1, 1, 7),
        click(128, 9, 80), lambda d: int(d.seg[7, 208, 137])),
    Row("viewer", "a bookmark of its page", f"/viz.html?{GROUPS}&channel=0em,1seg&depth=12&z=3",
        location, lambda d: "sections?channel=R0%3A%3AR0%3A%3A25k%2Fem&over="
        "R0%3A%3AR0%3A%3A25k%2Fseg&z=3", "the section viewer shows the same channels", 302),

    Row("page on this machine", "a tile without credentials", tile("0em", 1, 0, 0),
        allowed_origin, lambda d: "http://localhost:8080"),
    Row("page elsewhere", "a tile without credentials", tile("0em", 1, 0, 0),
        lambda answer: "add to the configuration: allowed-origins" in answer.text, lambda d: True,
        "the first let every page of the web read, also on an intranet", 403),

    # Neuroglancer of the time, precomputed://
    Row("neuroglancer", "info of an image", f"{PRE}/em/info",
        precomputed, lambda d: {"kind": KINDS["em"], **INFO}, ALIKE),
    Row("neuroglancer", "info of labels", f"{PRE}/seg/info",
        precomputed, lambda d: {"kind": KINDS["seg"], **INFO, "mesh": "mesh"}, ALIKE),
    Row("neuroglancer", "a chunk", f"{PRE}/em/0/64-128_128-192_0-12",
        raw("u1", 12, 64, 64), lambda d: d.em[:, 128:192, 64:128]),
    Row("neuroglancer", "the last chunk", f"{PRE}/em/0/256-260_256-300_0-12",
        raw("u1", 12, 44, 4), lambda d: d.em[:, 256:, 256:]),
    Row("neuroglancer", "a chunk of mip 2", f"{PRE}/em/2/0-64_0-64_0-12",
        raw("u1", 12, 64, 64), lambda d: d.mean(4)[:, :64, :64], STRIDED),
    Row("neuroglancer", "a chunk of labels", f"{PRE}/seg/0/0-64_64-128_0-12",
        raw("u4", 12, 64, 64), lambda d: d.seg[:, 64:128, :64]),
    Row("neuroglancer", "labels of mip 1", f"{PRE}/seg/1/128-130_128-150_0-12",
        raw("u4", 12, 22, 2), lambda d: d.seg[:, 256::2, 256::2]),
    Row("neuroglancer", "ids of 64 bits", f"{PRE}/cells/0/192-256_0-64_0-12",
        raw("u8", 12, 64, 64), lambda d: d.cells[:, :64, 192:256]),
    Row("neuroglancer", "a chunk that mip 2 does not have", f"{PRE}/em/2/128-192_0-64_0-12",
        lambda answer: "mip 2" in answer.text, lambda d: True,
        "the first listed such chunks, and sent zeros for them", 404),

    # Neuroglancer of the time, ndstore://: it adds neariso, reads labels as npz, images as jpeg
    Row("neuroglancer", "ndstore tokens", "/nd/sd/public_tokens/",
        lambda answer: TOKEN in answer.json(), lambda d: True, "the first answered 500"),
    Row("neuroglancer", "ndstore scales", f"{ND}/info/",
        ndstore, lambda d: SCALES, "the first said 4 x 4 x 30 nm of every dataset"),
    Row("neuroglancer", "ndstore layers", f"{ND}/info/",
        lambda answer: {name: kinds(answer)[name] for name in KINDS}, lambda d: KINDS),
    Row("neuroglancer", "ndstore labels", f"{ND}/seg/npz/0/64,128/0,64/0,12/neariso/",
        npz, lambda d: d.seg[:, :64, 64:128]),
    Row("neuroglancer", "ndstore labels of mip 1", f"{ND}/seg/npz/1/64,128/128,150/0,12/neariso/",
        npz, lambda d: d.seg[:, 256::2, 128:256:2]),
    Row("neuroglancer", "ndstore image", f"{ND}/em/jpeg/0/0,64/64,128/0,12/neariso/",
        jpeg_chunk(12, 64, 64), lambda d: Near(d.em[:, 64:128, :64])),
    Row("neuroglancer", "ndstore image as npz", f"{ND}/em/npz/2/0,64/64,75/0,12/neariso/",
        npz, lambda d: d.mean(4)[:, 64:, :64], STRIDED),
    Row("neuroglancer", "ndstore image as raw", f"{ND}/em/raw/0/128,192/64,128/0,12/neariso/",
        raw("u1", 12, 64, 64), lambda d: d.em[:, 64:128, 128:192], ONLY),

    # Cutouts as ndio asks for them
    Row("ndio", "hdf5", f"{ND}/em/hdf5/0/10,60/20,90/2,9/",
        hdf5, lambda d: d.em[2:9, 20:90, 10:60], ONLY),
    Row("ndio", "npz", f"{ND}/cells/npz/0/10,60/20,90/2,9/",
        npz, lambda d: d.cells[2:9, 20:90, 10:60]),
    Row("ndio", "a slice", f"{ND}/seg/xy/0/10,60/20,90/4/",
        tiff, lambda d: d.seg[4, 20:90, 10:60]),
    Row("ndio", "a slice of mip 1", f"{ND}/seg/XY/1/10,60/20,90/4/",
        tiff, lambda d: d.seg[4, 40:180:2, 20:120:2]),
    Row("ndio", "a picture", f"{ND}/em/png/0/10,60/20,90/4,5/",
        png, lambda d: d.em[4, 20:90, 10:60]),
    Row("ndio", "zip", f"{ND}/em/zip/0/10,60/20,90/4,6/",
        inflated, lambda d: d.em[4:6, 20:90, 10:60].ravel()),

    # The page that measured the speed of tiles, the pipeline that downloaded planes, the proxy
    Row("h5_tile_test", "a tile", speed(0, 1, 0),
        jpeg, lambda d: Near(d.em[0, 128:256, :128])),
    Row("h5_tile_test", "a tile of half the size", speed(1, 0, 0),
        jpeg, lambda d: Near(d.mean(2)[0, :128, :128]), STRIDED),
    Row("pipeline", "extents", f"/api/channel_metadata?{GROUPS}&channel=em",
        extents, lambda d: [12, 300, 260]),
    Row("pipeline", "a plane", data("z=3"), png, lambda d: d.em[BOX]),

    Row("ariadne-nda", "a plane, passed on", data("z=3"), as_it_is(png), lambda d: d.em[BOX]),
    Row("ariadne-nda", "a tif, passed on", data("z=3&format=tif", "seg"),
        as_it_is(tiff), lambda d: d.seg[BOX], "the first wrote image/tif, which is no media type"),

    # The documented addresses
    Row("documents", "mask", data("z=3&depth=1&resolution=0").replace("data", "mask", 1),
        png, lambda d: d.em[BOX]),
    Row("documents", "tif", data("z=3&format=tif", "cells"), tiff, lambda d: d.cells[BOX]),
    Row("documents", "bmp", data("z=3&format=bmp"), bmp, lambda d: d.em[BOX]),
    Row("documents", "jpg", data("z=3&format=jpg"), jpeg, lambda d: Near(d.em[BOX])),
    Row("documents", "npz", data("z=3&depth=4&format=npz", "seg"),
        npz, lambda d: d.seg[3:7, 200:230, 100:140]),
    Row("documents", "zip of a deep box", data("z=3&depth=4&format=zip"),
        inflated, lambda d: d.em[3:7, 200:230, 100:140].ravel()),
    Row("documents", "a deep png, stacked", data("z=3&depth=4"),
        png, lambda d: d.em[3:7, 200:230, 100:140].reshape(-1, 40)),
    Row("documents", "a deep tif, stacked", data("z=3&depth=2&format=tif", "seg"),
        tiff, lambda d: d.seg[3:5, 200:230, 100:140].reshape(-1, 40)),
    Row("documents", "labels as rgb", data("z=3&view=rgb", "seg"),
        lambda answer: png(answer) @ [1, 256, 65536], lambda d: d.seg[BOX].astype(int),
        "the first could not write ids of 32 bits as rgb, and answered 500"),
    Row("documents", "colours of two ids", plane(8, 4, "view=colormap"), colours, lambda d: 2,
        "ids 233,100 apart had one colour"),
    Row("documents", "labels as png are coloured", plane(8, 4, "view=grayscale"), colours,
        lambda d: 2, "ids 233,100 apart had one colour"),
    Row("documents", "metadata as yaml", f"/api/channel_metadata?{GROUPS}&channel=em&format=yaml",
        lambda answer: yaml.safe_load(answer.text)["dimensions"],
        lambda d: {"x": 260, "y": 300, "z": 12}),
    Row("documents", "offset", data("z=3", "moved", GROUPS.replace("25k", "apart")),
        png, lambda d: d.em[3 + OFFSET[0], 210:240, 107:147]),
    Row("documents", "what is outside is 0", data("z=3").replace("x=100", "x=-10"),
        png, lambda d: np.pad(d.em[3, 200:230, :30], ((0, 0), (10, 0))),
        "the first moved such a box to 0, and showed other voxels"),
    Row("documents", "/index.html", "/index.html", location, lambda d: "./",
        "a redirect to /", 302),
    Row("documents", "/ng/index.html", "/ng/index.html", location, lambda d: "./",
        "a redirect to /ng/", 302),
]
# fmt: on


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_client_of_the_first(row: Row, replayed: httpx.Client, cortex: Cortex) -> None:
    row.replay(replayed, cortex)
