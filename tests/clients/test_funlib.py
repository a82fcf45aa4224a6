"""funlib.persistence, which gunpowder, daisy and volara use, reads arrays in world units."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fixtures.environments import python_with
from tests.fixtures.zarr_versions import both

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.channels import Channel


CLIENT = """
import json, sys
import numpy as np
from funlib.persistence import open_ds

url, mips, result = json.load(sys.stdin)
voxels, words = {}, []
for mip in mips:
    array = open_ds(f"{url}/{mip}", mode="r", strict_metadata=True)
    words.append([array.voxel_size, array.offset, array.units, array.axis_names, array.types])
    voxels[str(mip)] = array[array.roi]
np.savez(result, **voxels)
json.dump(words, sys.stdout)
"""


@pytest.fixture(scope="session")
def funlib(pytestconfig: pytest.Config) -> str:
    """A Python with funlib.persistence, which requires a pre-release of iohub."""
    return python_with(pytestconfig, "funlib.persistence==0.7.0")


@both
@pytest.mark.reads("funlib.persistence", "{prefix}")
def test_every_mip_is_in_world_units(
    channel: Channel, funlib: str, prefix: str, tmp_path: Path
) -> None:
    asked = [channel.url(prefix), [*channel.mips], str(tmp_path / "found.npz")]
    done = subprocess.run(
        [funlib, "-W", "ignore", "-c", CLIENT],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz") as found:
        for mip, words in zip(channel.mips, json.loads(done.stdout), strict=True):
            size, offset, *rest = words
            # A Coordinate of funlib is whole numbers: it cuts off decimals.
            assert size == channel.scale(mip).astype(int).tolist()
            assert offset == (channel.origin(mip) * channel.scale(mip)).astype(int).tolist()
            assert rest == [["nm"] * 3, ["z", "y", "x"], ["space"] * 3]
            assert np.array_equal(found[str(mip)], channel.at_mip(mip))
