"""napari-ome-zarr, the reader plug-in of napari, makes layers; no viewer is opened."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fixtures.channels import LABELS
from tests.fixtures.environments import python_with
from tests.fixtures.zarr_versions import both

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.channels import Channel


CLIENT = """
import contextlib, json, sys
import numpy as np
from napari.layers import Layer
from napari_ome_zarr import napari_get_reader

url, result = json.load(sys.stdin)
voxels, words = {}, []
with contextlib.redirect_stdout(sys.stderr):
    layers = [Layer.create(*data) for data in napari_get_reader(url)(url)]
for number, layer in enumerate(layers):
    limits = [float(n) for n in getattr(layer, "contrast_limits", [])]
    scale, units = list(layer.scale), [str(unit) for unit in layer.units]
    words.append([type(layer).__name__, layer.name, scale, units, limits, len(layer.data)])
    for mip, data in enumerate(layer.data):
        voxels[f"{number} {mip}"] = np.asarray(data)
np.savez(result, **voxels)
json.dump(words, sys.stdout)
"""


@pytest.fixture(scope="session")
def napari(pytestconfig: pytest.Config) -> str:
    """A Python with napari and its plug-in, without Qt."""
    return python_with(pytestconfig, "napari-ome-zarr==0.10.0", "napari==0.9.2")


@both
@pytest.mark.reads("napari-ome-zarr", "{prefix}")
def test_an_image_and_its_labels_are_layers(
    em: Channel, fib25_served: dict[str, Channel], napari: str, prefix: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [napari, "-W", "ignore", "-c", CLIENT],
        input=json.dumps([em.url(prefix), str(tmp_path / "found.npz")]),
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    image, *labels = json.loads(done.stdout)
    kind, name, scale, units, (low, high), levels = image
    assert (kind, name, scale, levels) == ("Image", "grayscale: grayscale", [8, 8, 8], len(em.mips))
    assert units == ["nanometer"] * 3
    assert 0 < low < high < 255
    for layer, label in zip(labels, LABELS, strict=True):
        assert (layer[0], layer[1].endswith(label), layer[2]) == ("Labels", True, [8, 8, 8])
    with np.load(tmp_path / "found.npz") as found:
        for number, name in enumerate(["grayscale", *LABELS]):
            for mip in em.mips:
                expected = fib25_served[name].at_mip(mip)
                assert np.array_equal(found[f"{number} {mip}"], expected)
