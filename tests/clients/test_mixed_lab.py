"""Files of many programs in one folder: served by one command, read by three libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest
import tensorstore as ts
import zarr
from cloudvolume import CloudVolume

from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.storage.files import Files
from tests.fixtures.mixed_lab import SHAPE, write_lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_every_volume_is_the_same_in_three_libraries(
    tmp_path: Path, serve: Callable[..., Any]
) -> None:
    volumes = write_lab(tmp_path)
    found = scan(str(tmp_path), Files())
    assert not found.skipped
    config = Config(experiments=found.experiments)
    expected = sorted(volume.tobytes() for volume in volumes)
    read: dict[str, list[bytes]] = {"CloudVolume": [], "TensorStore": [], "zarr-python": []}
    with serve(config) as client:
        base = str(client.base_url).rstrip("/")
        for *groups, channel in config.channels:
            token = quote(f"{'/'.join(groups)}/{channel}")
            cloud = CloudVolume(f"precomputed://{base}/pre/{token}", progress=False, fill_missing=0)
            read["CloudVolume"].append(np.ascontiguousarray(cloud[:][..., 0].T).tobytes())
            store = ts.open({"driver": "n5", "kvstore": f"{base}/n5/{token}/s0/"}).result()
            read["TensorStore"].append(np.ascontiguousarray(store.read().result().T).tobytes())
            array = zarr.open_array(f"{base}/zarr3/{token}/0", mode="r")
            assert array.shape == SHAPE
            read["zarr-python"].append(np.asarray(array[...]).tobytes())
    for library, found_there in read.items():
        assert sorted(found_there) == expected, (library, list(config.channels))


def test_what_is_said_of_the_volumes(tmp_path: Path, serve: Callable[..., Any]) -> None:
    write_lab(tmp_path)
    config = Config(experiments=scan(str(tmp_path), Files()).experiments)
    facts = {}
    with serve(config) as client:
        for *groups, channel in config.channels:
            answer = client.get(f"/browse/{'/'.join(groups)}/{channel}")
            assert answer.status_code == 200, answer.text
            facts[channel] = answer.json()
    kinds = {channel: fact["kind"] for channel, fact in facts.items()}
    labels = {channel for channel, kind in kinds.items() if kind == "segmentation"}
    assert len(labels) == 4, kinds  # neuron_ids, two masks, the layer of webKnossos
    sizes = {channel: fact["voxel_size"] for channel, fact in facts.items()}
    assert sizes["tomogram.mrc"] == pytest.approx([1.32] * 3)
    bdv = [size for channel, size in sizes.items() if channel.startswith("bdv")]
    assert bdv == [pytest.approx([400, 400, 2000])] * 2
    assert [len(facts[channel]["mips"]) >= 2 for channel in facts if channel.startswith("bdv")]
