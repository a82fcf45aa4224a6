"""Formats of many laboratories in one folder: each volume as its own library reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest
from cloudvolume import CloudVolume

from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.storage.files import Files

pytest.importorskip("wkw", reason="its wheels are for x86-64 only")

from tests.fixtures.every_disk import write_disks  # the library is needed by now

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_every_volume_is_that_of_its_own_library(tmp_path: Path, serve: Callable[..., Any]) -> None:
    cloud, volumes = write_disks(tmp_path)
    found = scan(str(tmp_path), Files())
    assert not found.skipped
    config = Config(experiments=found.experiments)
    read = {}
    with serve(config) as client:
        base = str(client.base_url).rstrip("/")
        for *groups, channel in config.channels:
            token = quote(f"{'::'.join(groups)}/{channel}")
            volume = CloudVolume(f"precomputed://{base}/pre/{token}", progress=False)
            read[channel] = np.ascontiguousarray(volume[:][..., 0].T)
            if channel == cloud.path.name:  # the others have computed ones
                for label, (vertices, _) in cloud.meshes.items():
                    mesh = volume.mesh.get(label)
                    mesh = mesh[label] if isinstance(mesh, dict) else mesh
                    assert sorted(map(tuple, mesh.vertices)) == sorted(map(tuple, vertices))
                for label, (vertices, *_) in cloud.skeletons.items():
                    skeleton = volume.skeleton.get(label)
                    assert np.allclose(np.sort(skeleton.vertices, 0), np.sort(vertices, 0))
    assert cloud.path.name in read
    assert len(read) == len(volumes), (sorted(read), sorted(volumes))
    for name, voxels in volumes.items():
        same = [channel for channel, own in read.items() if np.array_equal(own, voxels)]
        assert len(same) == 1, (name, same, sorted(read))
        assert read[same[0]].dtype == voxels.dtype
