"""Every mip that an address can have is answered, in every protocol, for any stored mips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

SHAPE = (4, 40, 80)
"""A section is one voxel from mip 7 on."""

COARSEST = 7

LISTED = 1
"""The last mip that protocols list which list them: a section is one chunk there."""

AT, TOKEN, BOSS = "experiment=exp&sample=sam&dataset=dat", "exp::sam::dat", "exp/sam::dat"

ADDRESSES = {
    "api": f"/api/data?{AT}&channel={{c}}&x=0&y=0&z=0&width=1&height=1&resolution={{mip}}",
    "api mask": f"/api/mask?{AT}&channel={{c}}&x=0&y=0&z=0&width=9&height=9&resolution={{mip}}",
    "tiles": f"/tiles/{TOKEN}/{{c}}/{{mip}}/0/0/0.png",
    "tiles across": f"/tiles/{TOKEN}/{{c}}/xz/{{mip}}/0/0/0.png",
    "nd": f"/nd/sd/{TOKEN}/{{c}}/blosc/{{mip}}/0,1/0,1/0,1/",
    "ocp": f"/ocp/ca/{TOKEN}/{{c}}/xy/{{mip}}/0,8/0,8/0/",
    "v1 cutout": f"/v1/cutout/{BOSS}/{{c}}/{{mip}}/0:1/0:1/0:1/",
    "v1 ids": f"/v1/ids/{BOSS}/{{c}}/{{mip}}/0:1/0:1/0:1/",
    "v1 boundingbox": f"/v1/boundingbox/{BOSS}/{{c}}/{{mip}}/1/",
    "pre": f"/pre/{TOKEN}/{{c}}/{{mip}}/0-1_0-1_0-1",
    "zarr": f"/zarr/{TOKEN}/{{c}}/{{mip}}/0/0/0",
    "zarr3": f"/zarr3/{TOKEN}/{{c}}/{{mip}}/c/0/0/0",
    "n5": f"/n5/{TOKEN}/{{c}}/s{{mip}}/0/0/0",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory, serve, make_tree) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("mips")
    channels = []
    for name, dtype in (("em", "u1"), ("labels", "u8")):
        voxels = np.random.default_rng(0).integers(1, 5, SHAPE).astype(dtype)
        for sized in ("", "-sized"):
            path = folder / f"{name}{sized}.h5"
            with h5py.File(path, "w") as file:
                file["main"] = voxels
                if sized:
                    file["main"].attrs["resolution"] = [4, 4, 4]
            channels.append({"name": f"{name}{sized}", "path": str(path)})
    with serve(make_tree(*channels)) as client:
        client.timeout = 20
        yield client


@pytest.mark.parametrize("protocol", ADDRESSES)
@pytest.mark.parametrize("channel", ["em", "em-sized", "labels", "labels-sized"])
def test_a_mip_is_an_answer_or_a_message(protocol: str, channel: str, client) -> None:
    address, last = ADDRESSES[protocol], COARSEST
    if protocol in ("pre", "zarr", "zarr3", "n5"):
        last = LISTED
    for mip in range(40):
        answer = client.get(address.format(c=channel, mip=mip))
        wants_labels = protocol in ("v1 ids", "v1 boundingbox")
        if mip > 31 or (wants_labels and "em" in channel):
            assert answer.status_code in (400, 404), (mip, answer.text)
        elif mip > last:
            assert answer.status_code == 404, (mip, answer.text)
            assert "mip" in answer.text or "block" in answer.text
        elif answer.status_code != 200:
            # A label may be lost on the way to coarser mips.
            assert answer.status_code == 404
            assert "There is no label 1" in answer.text
        else:
            assert answer.content
    assert client.get("/healthz").status_code == 200


def test_the_last_mip_is_one_voxel_of_all(client) -> None:
    url = ADDRESSES["api"].format(c="labels", mip=COARSEST) + "&format=raw&width=2&height=2&depth=4"
    found = np.frombuffer(client.get(url).content, "u8").reshape(4, 2, 2)
    assert (found[:, 1:] == 0).all()
    assert (found[:, :, 1:] == 0).all()
    assert (found[:, 0, 0] > 0).all()
