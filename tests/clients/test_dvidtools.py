"""The requests of dvidtools, which is under the GPL and so not installed here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

import numpy as np
import pytest
import requests

if TYPE_CHECKING:
    from tests.fixtures.channels import Channel


@pytest.mark.reads("requests of dvidtools", "dvid")
@pytest.mark.parametrize("channel", ["seg", "near", "groundtruth.h5"], indirect=True)
def test_labels_at_points(channel: Channel) -> None:
    server = f"{channel.client.base_url}/dvid/".replace("//dvid", "/dvid")
    projects = requests.get(f"{server}api/repos/info", timeout=60).json()
    (node,) = projects
    assert projects[node]["Alias"] == "exp/sam/dat"
    master = requests.get(f"{server}api/repo/{node}/branch-versions/master", timeout=60).json()
    assert master == [node]
    instance = f"api/node/{node}/{channel.name}"
    info = requests.get(urljoin(server, f"{instance}/info"), timeout=60).json()
    first = np.array(channel.voxel_offset[::-1])
    assert info["Extended"]["MinPoint"] == first.tolist()
    size = np.array(channel.voxels.shape[::-1])
    assert info["Extended"]["MaxPoint"] == (first + size - 1).tolist()
    points = np.random.default_rng(0).integers(0, size, (1000, 3))
    words = (points + first).tolist()
    labels = requests.get(urljoin(server, f"{instance}/labels"), json=words, timeout=60)
    assert labels.json() == [int(channel.voxels[z, y, x]) for x, y, z in points]


@pytest.mark.reads("requests of dvidtools", "dvid")
def test_meshes_are_absent_in_words(seg: Channel) -> None:
    (node,) = seg.client.get("/dvid/api/repos/info").json()
    answer = seg.client.get(f"/dvid/api/node/{node}/seg_skeletons/key/7_swc")
    assert (answer.status_code, "no keyvalue instances" in answer.text) == (404, True)
