"""zarrita.js, the reader of viewers in the browser, reads both versions of zarr in Node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fixtures.javascript import node_with, run_node
from tests.fixtures.zarr_versions import VERSIONS, both

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.channels import Channel


SCRIPT = """
import { writeFileSync } from "node:fs";
import * as zarr from "zarrita";

const [url, version, folder] = process.argv.slice(1);
const open = version === "2" ? zarr.open.v2 : zarr.open.v3;
const group = await open(new zarr.FetchStore(url), { kind: "group" });
const { multiscales } = group.attrs.ome ?? group.attrs;
const found = [];
for (const { path } of multiscales[0].datasets) {
  const array = await open(group.resolve(path), { kind: "array" });
  const { data, shape } = await zarr.get(array);
  writeFileSync(`${folder}/${path}`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  found.push({ shape, dtype: array.dtype, names: array.dimensionNames });
}
console.log(JSON.stringify(found));
"""


@pytest.fixture(scope="session")
def zarrita(pytestconfig: pytest.Config) -> Path:
    return node_with(pytestconfig, "zarrita@0.7.5")


@both
@pytest.mark.reads("zarrita.js", "{prefix}")
def test_every_mip_is_the_same(
    channel: Channel, zarrita: Path, prefix: str, tmp_path: Path
) -> None:
    version = str(VERSIONS[prefix][1])
    found = json.loads(run_node(zarrita, SCRIPT, channel.url(prefix), version, str(tmp_path)))
    assert len(found) == len(channel.mips)
    for mip, words in zip(channel.mips, found, strict=True):
        expected = channel.at_mip(mip)
        assert words["shape"] == list(expected.shape)
        assert words["dtype"] == expected.dtype.name
        if prefix == "zarr3":
            assert words["names"] == ["z", "y", "x"]
        voxels = np.frombuffer((tmp_path / str(mip)).read_bytes(), expected.dtype)
        assert np.array_equal(voxels.reshape(expected.shape), expected)
