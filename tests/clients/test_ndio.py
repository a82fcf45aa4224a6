"""ndio reads NDStore, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bfly.encoders.unsigned import unsigned
from tests.fixtures.environments import python_with

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.channels import Channel

TOKEN = "exp::sam::dat"


CLIENT = """
import json, sys
import numpy as np
from ndio.remote.neurodata import neurodata

host, suffix, token, channel, boxes, result = json.load(sys.stdin)
remote = neurodata(hostname=host, protocol="http", suffix=suffix, check_tokens=True)
found, words = {}, {"ping": remote.ping(), "tokens": remote.get_public_tokens()}
words["datasets"] = remote.get_public_datasets_and_tokens()
words["channels"] = remote.get_channels(token)
words["metadata"] = remote.get_metadata(token)["metadata"]
for mip, (x, i, y, j, z, k) in enumerate(boxes):
    words[f"size {mip}"] = remote.get_image_size(token, mip)
    words[f"offset {mip}"] = remote.get_image_offset(token, mip)
    words[f"block {mip}"] = remote.get_block_size(token, mip)
    box = (x, i, y, j, z, k)
    found[f"cutout {mip}"] = remote.get_cutout(token, channel, *box, resolution=mip).T
    volume = remote.get_volume(token, channel, *box, resolution=mip, neariso=True)
    found[f"volume {mip}"] = volume.cutout.T
    found[f"blosc {mip}"] = remote._get_cutout_blosc_no_chunking(token, channel, mip, *box)
    found[f"slice {mip}"] = remote.get_xy_slice(token, channel, x, i, y, j, z, resolution=mip).T
    found[f"image {mip}"] = remote.get_image(token, channel, x, i, y, j, z, resolution=mip).T
remote._chunk_threshold = 1
found["blocks"] = remote.get_cutout(token, channel, *box, resolution=mip, block_size=None).T
np.savez(result, **found)
json.dump(words, sys.stdout)
"""


@pytest.fixture(scope="session")
def ndio(pytestconfig: pytest.Config) -> str:
    """A Python with ndio alone: its old Blosc must not meet the new one."""
    return python_with(pytestconfig, "ndio==1.1.5", "six==1.17.0", alone=True)


@pytest.mark.reads("ndio 1.1.5", "ndstore /{suffix}/ca")
@pytest.mark.parametrize("suffix", ["ocp", "nd"])
def test_ndio_reads_every_mip(channel: Channel, ndio: str, suffix: str, tmp_path: Path) -> None:
    boxes = []
    for mip in channel.mips:
        start = channel.first_section(mip)
        stop = start + channel.with_all_sections(mip).shape
        ends = zip(start[::-1], stop[::-1], strict=True)
        boxes.append([int(n) for pair in ends for n in pair])
    host = str(channel.client.base_url).removeprefix("http://").rstrip("/")
    asked = [host, suffix, TOKEN, channel.name, boxes, str(tmp_path / "found.npz")]
    done = subprocess.run(
        [ndio, "-W", "ignore", "-c", CLIENT],
        input=json.dumps(asked),
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    words = json.loads(done.stdout)
    assert (words["ping"], words["tokens"]) == (200, [TOKEN])
    assert words["datasets"] == {TOKEN: [TOKEN]}
    assert words["channels"][channel.name]["datatype"] == unsigned(channel.voxels.dtype).name
    assert words["metadata"] == {}
    with np.load(tmp_path / "found.npz") as found:
        for mip in channel.mips:
            expected = channel.with_all_sections(mip)
            assert words[f"size {mip}"] == list(expected.shape[::-1])
            assert words[f"offset {mip}"] == channel.first_section(mip)[::-1].tolist()
            for name in ("cutout", "volume", "blosc"):
                assert found[f"{name} {mip}"].dtype == expected.dtype
                assert np.array_equal(found[f"{name} {mip}"], expected)
            for name in ("slice", "image"):
                assert np.array_equal(found[f"{name} {mip}"], expected[0])
        assert np.array_equal(found["blocks"], expected)
