"""Random files of every format: each voxel at its place through every protocol, or a refusal."""

from __future__ import annotations

import io
import os
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorstore as ts
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.storage.files import Files
from tests.fixtures.random_files import WRITERS, Case, Writer, cases

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    Voxels = np.ndarray[Any, np.dtype[Any]]

Spans = list[tuple[int, int]]

FILES = int(os.environ.get("BFLY_TEST_RANDOM", "4"))
"""Files of each format."""


@pytest.mark.parametrize("name", WRITERS)
def test_every_voxel_is_at_its_place_or_refused(name: str, serve: Callable[..., Any]) -> None:
    writer = WRITERS[name]
    seen: dict[bool, int] = {True: 0, False: 0}

    # A failing file is reported as it is: to serve smaller ones would take minutes.
    @settings(
        max_examples=FILES,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        case = data.draw(cases(writer))
        with tempfile.TemporaryDirectory() as folder:
            writer.write(case, Path(folder))
            seen[_is_served(case, writer, folder, serve)] += 1

    check()
    print(f"{name}: {seen[True]} served, {seen[False]} refused")
    assert seen[True]


def _is_served(case: Case, writer: Writer, folder: str, serve: Callable[..., Any]) -> bool:
    """Check what is served of a file; return False if it is refused with a reason."""
    found = scan(folder, Files())
    if not found.experiments:
        (reason,) = [reason for _, reason in found.skipped]
        assert len(reason) > 10
        return False
    config = Config(experiments=found.experiments)
    names = list(config.channels)
    with serve(config) as client:
        answers = [client.get(f"/browse/{_token(name)}") for name in names]
        if any(answer.status_code != 200 for answer in answers):
            assert all(answer.status_code == 503 and "v." in answer.text for answer in answers)
            return False
        served = {
            name: _read(client, name, answer.json(), writer, case)
            for name, answer in zip(names, answers, strict=True)
        }
    expected = [volume.astype(case.served_dtype).tobytes() for volume in case.volumes]
    assert sorted(served.values()) == sorted(expected), (case, names)
    return True


def _token(name: tuple[str, ...]) -> str:
    *groups, channel = name
    return f"{'::'.join(groups)}/{channel}"


def _read(
    client: httpx.Client, name: tuple[str, ...], facts: dict[str, Any], writer: Writer, case: Case
) -> bytes:
    """Return the voxels of a channel, the same through every protocol and at their place."""
    size = case.voxel_size if writer.has_size else None
    assert facts["voxel_offset"] == list(case.place[::-1]), (case, facts)
    assert facts["voxel_size"] == (size and pytest.approx(size[::-1])), (case, facts)
    base = str(client.base_url).rstrip("/")
    token = _token(name)
    url = f"{base}/pre/{token}/raw/"
    pre = ts.open({"driver": "neuroglancer_precomputed", "kvstore": url}).result()
    assert pre.domain.origin[:3] == tuple(case.place[::-1])
    voxels = pre.read().result()[..., 0].T
    assert voxels.dtype == case.served_dtype or case.dtype == "i8"
    for driver, address in (("zarr", "zarr"), ("zarr3", "zarr3")):
        store = ts.open({"driver": driver, "kvstore": f"{base}/{address}/{token}/0/"}).result()
        assert np.array_equal(store.read().result(), voxels), (driver, case)
    store = ts.open({"driver": "n5", "kvstore": f"{base}/n5/{token}/s0/"}).result()
    assert np.array_equal(store.read().result().T, voxels), case
    spans = [(at, at + side) for at, side in zip(case.place, voxels.shape, strict=True)]
    for ask in (_api, _ndstore, _boss):
        answer = ask(client, name, spans)
        if answer.status_code == 400:
            assert voxels.min() < 0, (ask, case)
            assert "a voxel is -" in answer.text
            continue
        assert answer.status_code == 200, answer.text
        found = _npz(answer.content)
        # Labels of BossDB have 64 bits.
        same = np.array_equal(found, voxels) or found.tobytes() == voxels.tobytes()
        assert same, (ask, case)
    return voxels.tobytes()


def _api(client: httpx.Client, name: tuple[str, ...], spans: Spans) -> httpx.Response:
    words = dict(zip(("experiment", "sample", "dataset", "channel"), name, strict=True))
    for axis, side, (start, stop) in zip("zyx", ("depth", "height", "width"), spans, strict=True):
        words |= {axis: str(start), side: str(stop - start)}
    return client.get("/api/data", params={**words, "format": "npz"})


def _npz(data: bytes) -> Voxels:
    try:
        found = np.load(io.BytesIO(zlib.decompress(data)))
    except zlib.error:
        found = np.load(io.BytesIO(data))
    array = found[found.files[0]] if hasattr(found, "files") else found
    return np.asarray(array).reshape(array.shape[-3:])


def _ndstore(client: httpx.Client, name: tuple[str, ...], spans: Spans) -> httpx.Response:
    z, y, x = (f"{start},{stop}" for start, stop in spans)
    *groups, channel = name
    return client.get(f"/nd/ca/{'::'.join(groups)}/{channel}/npz/0/{x}/{y}/{z}/")


def _boss(client: httpx.Client, name: tuple[str, ...], spans: Spans) -> httpx.Response:
    z, y, x = (f"{start}:{stop}" for start, stop in spans)
    experiment, sample, dataset, channel = name
    return client.get(
        f"/v1/cutout/{experiment}/{sample}::{dataset}/{channel}/0/{x}/{y}/{z}/",
        headers={"accept": "application/npygz"},
    )
