"""CloudVolume, TensorStore and zarr-python read chunks that are sent as stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import requests.utils
import tensorstore as ts
import zarr

CODED = ["zarr2 gzip", "zarr2 zlib", "zarr2 zstd", "zarr3 gzip"]
CODED += ["n5 gzip, voxels", "n5 zlib, voxels", "n5 zstd, voxels"]
CODED += ["raw, .gz", "raw, .br", "raw, .zstd", "compressed_segmentation, .gz"]
ENCODED = ["zarr2 plain", *CODED, "raw", "jpeg", "png", "compressed_segmentation"]
IN_ZARR = ["zarr2 zstd as zarr", "zarr2 blosc", "zarr3 zstd"]

pytestmark = pytest.mark.filterwarnings("ignore")


def check(found: Any, case: Any) -> None:
    """Compare a whole volume with what a lossy format leaves of it."""
    most = 12 if case.name == "jpeg" else 0
    assert found.shape == case.volume.shape
    assert np.abs(found.astype(float) - case.volume).max() <= most


def read(spec: dict[str, str]) -> np.ndarray:
    """Read all with TensorStore, which asks for many minutes again where an answer is an error."""
    found: np.ndarray = ts.open(spec).result(60).read().result(60)
    return found


@pytest.mark.parametrize("case", ENCODED, indirect=True)
def test_tensorstore_reads_precomputed(url: str, case, sent: list[str]) -> None:
    spec = {"driver": "neuroglancer_precomputed", "kvstore": f"{url}/"}
    check(read(spec)[..., 0].T, case)
    assert {*sent} == {case.coding}


@pytest.mark.parametrize("knows_zstd", [False, True])
@pytest.mark.parametrize("case", ENCODED, indirect=True)
def test_cloudvolume_reads_precomputed(
    url: str, case, sent: list[str], monkeypatch: pytest.MonkeyPatch, knows_zstd: bool
) -> None:
    """Its requests says what urllib3 unpacks: zstd depends on the libraries that are there."""
    from cloudvolume import CloudVolume

    said = "gzip, deflate, br, zstd" if knows_zstd else "gzip, deflate, br"
    monkeypatch.setattr(requests.utils, "DEFAULT_ACCEPT_ENCODING", said)
    remote = CloudVolume(f"precomputed://{url}", progress=False)
    check(np.asarray(remote[:, :, :])[..., 0].T, case)
    allowed = {"", "br", "gzip", *["zstd"] * knows_zstd}
    assert {*sent} == {case.coding} & allowed


@pytest.mark.parametrize("prefix", ["zarr", "zarr3"])
@pytest.mark.parametrize("case", IN_ZARR, indirect=True)
def test_zarr_python_and_tensorstore_read_zarr(
    url: str, case, sent: list[str], prefix: str
) -> None:
    url = url.replace("/zarr/", f"/{prefix}/")
    check(zarr.open_group(url.replace("::", "%3A%3A"), mode="r")["0"][:], case)
    assert sent == ["", ""]
    check(read({"driver": prefix, "kvstore": f"{url}/0/"}), case)


@pytest.mark.parametrize("case", ["n5 gzip"], indirect=True)
def test_tensorstore_reads_n5(url: str, case, sent: list[str]) -> None:
    check(read({"driver": "n5", "kvstore": f"{url}/s0/"}).T, case)
    assert sent == ["", ""]
