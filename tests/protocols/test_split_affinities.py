"""Affinities decide where a segment is split, against areas and the image."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import zarr

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases.nodb import Nodb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE, OFFSET = (8, 8, 8), (3, 0, 50)
BY_AREA, BY_AFFINITY = [1, 2], [1, 2, 3]
"""The supervoxels on the side of the source."""

Volume = np.ndarray


def row(axis: int) -> Volume:
    """Five blocks along an axis; 2 and 3 touch along a neck, the others along whole faces."""
    labels = np.repeat(np.arange(1, 6, dtype="u4"), 12)[:, None, None] * np.ones((1, 20, 20), "u4")
    labels[22:24] = 0
    labels[22:24, 5:15, 5:15] = 2
    return np.moveaxis(labels, 0, axis)


def wall(axis: int, others: float = 0.9) -> Volume:
    """Affinities that are low from the first voxels of 4 to the last ones of 3 alone."""
    values = np.full((3, *row(axis).shape), others, np.float32)
    np.moveaxis(values[axis], axis, 0)[36] = 0.05
    return values


def dark(axis: int) -> Volume:
    """An image with a dark membrane there."""
    image = np.full(row(axis).shape, 200, "u1")
    np.moveaxis(image, axis, 0)[35:37] = 100
    return image


def written(path: Path, voxels: Volume) -> str:
    with h5py.File(path, "w") as file:
        file["main"] = voxels
    return str(path)


def channel(path: Path | str, **more: Any) -> dict[str, Any]:
    name = str(path).rpartition("/")[2].replace("#c=", "-c")
    return {"name": name, "path": str(path), "voxel_offset": OFFSET, "voxel_size": SIZE, **more}


def components(path: Path | str, count: int = 3, **more: Any) -> list[dict[str, Any]]:
    """Return the channels of a file, as a scan lists them."""
    return [channel(path, **more), *(channel(f"{path}#c={at}", **more) for at in range(1, count))]


@pytest.fixture
def sources(tmp_path: Path, serve: Callable[..., Any]) -> Callable[..., Any]:
    """Return the supervoxels on the side of the source, or the answer of an error."""

    def found(axis: int, *beside: dict[str, Any]) -> Any:
        path = written(tmp_path / "seg.h5", row(axis))
        channels = [channel(path, kind="segmentation"), *beside]
        dataset = {"name": "d", "path": str(tmp_path), "channels": channels}
        tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
        pyramid = {"folder": str(tmp_path / "kept")}
        config = Config.parse({"bfly": {"experiments": tree, "pyramid": pyramid}}, "test.yaml")
        ends = [np.roll([at, 10, 10], axis) if axis < 2 else [10, 10, at] for at in (5, 55)]
        one, other = ((np.array(end) + OFFSET)[::-1].tolist() for end in ends)
        with serve(config, Nodb("", runtime_of(config))) as client:
            address = "/api/edits/e/s/d/seg.h5"
            assert client.post(f"{address}/merge", json={"ids": [1, 2, 3, 4, 5]}).is_success
            points = {"sources": [one], "sinks": [other]}
            answer = client.post(f"{address}/preview", json=points)
            if not answer.is_success:
                return answer
            side = sorted(map(int, answer.json()["sources"]))
            assert client.post(f"{address}/split", json=points).is_success
            now = client.get(f"{address}/roots", params={"ids": "1,2,3,4,5"}).json()["roots"]
            one, other = now[0]["root"], now[-1]["root"]
            assert [each["root"] for each in now] == [one] * len(side) + [other] * (5 - len(side))
            return side

    return found


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", "u1"])
def test_affinities_decide_against_areas_and_image(
    sources: Callable[..., Any], tmp_path: Path, axis: int, dtype: str
) -> None:
    """Component 0 is z, and a voxel has the affinity to the one before it."""
    values = wall(axis)
    stored = np.round(values * 255).astype("u1") if dtype == "u1" else values.astype(dtype)
    affs = written(tmp_path / "affs.h5", stored)
    em = written(tmp_path / "em.h5", np.full(row(axis).shape, 200, "u1"))
    assert sources(axis, channel(em, kind="image")) == BY_AREA
    assert sources(axis, *components(affs), channel(em, kind="image")) == BY_AFFINITY


def test_labels_of_such_a_name_are_not_affinities_but_uint8_may_look_like_labels(
    sources: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A scan states a kind for each channel."""
    labels = channel(written(tmp_path / "seg_affs.h5", row(0)), kind="segmentation")
    affs = written(tmp_path / "affs.h5", np.where(wall(0) > 0.5, 255, 0).astype("u1"))
    with caplog.at_level(logging.WARNING):
        assert sources(0, labels) == BY_AREA
        assert sources(0, labels, *components(affs, kind="segmentation")) == BY_AFFINITY
    assert "do not use" not in caplog.text


def test_other_axes_and_other_voxels_say_nothing_of_a_face(
    sources: Callable[..., Any], tmp_path: Path
) -> None:
    values = np.full_like(wall(0), 0.9)
    values[0][35] = values[0][37] = values[1][36] = values[2][36] = 0.05
    assert sources(0, *components(written(tmp_path / "affs.h5", values))) == BY_AREA


def test_the_place_in_the_configuration_states_affinities_to_the_voxel_after(
    sources: Callable[..., Any], tmp_path: Path
) -> None:
    values = np.stack([np.roll(wall(0)[axis], -1, axis) for axis in range(3)])
    after = components(written(tmp_path / "affs.h5", values))
    assert sources(0, *after) == BY_AREA
    for axis, each in enumerate(after):
        each["voxel_offset"] = [at + (axis == own) for own, at in enumerate(OFFSET)]
    assert sources(0, *after) == BY_AFFINITY


def test_names_state_the_axes(sources: Callable[..., Any], tmp_path: Path) -> None:
    """Of components in another order, and of three files."""
    path = written(tmp_path / "pred.h5", wall(0)[::-1])
    names = ("affinity-x", "affinity-y", "affinity-z")
    parts = [each | {"name": name} for each, name in zip(components(path), names, strict=True)]
    assert sources(0, *parts) == BY_AFFINITY
    files = [tmp_path / f"aff_{axis}.npy" for axis in "xyz"]
    for file, values in zip(files, wall(0)[::-1], strict=True):
        np.save(file, values)
    assert sources(0, *map(channel, files)) == BY_AFFINITY


def test_more_components_than_three_do_not_count(
    sources: Callable[..., Any], tmp_path: Path
) -> None:
    """Those of farther voxels come behind those of neighbours."""
    path = tmp_path / "affs.zarr"
    values = np.concatenate([wall(1), np.zeros_like(wall(1))])
    array = zarr.create_array(
        store=str(path), data=values, dimension_names=("c", "z", "y", "x"), zarr_format=3
    )
    assert array.shape == values.shape
    assert sources(1, *components(path, count=6)) == BY_AFFINITY


@pytest.mark.parametrize(
    ("voxels", "count", "more", "message"),
    [
        (wall(0, 1).astype("u1"), 2, {}, r"there is no component 2 \(x\)"),
        (wall(0).astype("u2"), 3, {"kind": "image"}, "they are uint16; allowed are floats"),
        (wall(0), 3, {"voxel_offset": (0, 0, 0)}, r"component 0 is at \(0, 0, 0\)"),
        (wall(0)[:, :, :, :-1], 3, {}, r"to \(63, 20, 69\) .*allowed is the place of the segm"),
        (None, 3, {}, "does not exist"),
    ],
)
def test_affinities_that_cannot_be_used_are_logged_and_the_image_decides(
    sources: Callable[..., Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    voxels: Volume | None,
    count: int,
    more: dict[str, Any],
    message: str,
) -> None:
    """They are never taken for the image."""
    path = tmp_path / "affinities.h5"
    if voxels is not None:
        written(path, voxels)
    em = channel(written(tmp_path / "raw.h5", dark(0)), kind="image")
    with caplog.at_level(logging.WARNING):
        assert sources(0, *components(path, count, **more), em) == BY_AFFINITY
    assert f"do not use the affinities of {path.name}" in caplog.text
    assert re.search(message, caplog.text)


@pytest.mark.parametrize("bad", [-0.5, 1.5, 255, np.nan])
def test_affinities_that_are_not_from_0_to_1_are_refused(
    sources: Callable[..., Any], tmp_path: Path, bad: float
) -> None:
    values = wall(0)
    values[0, 36, 10, 10] = bad
    answer = sources(0, *components(written(tmp_path / "affs.h5", values)))
    assert answer.status_code == 503
    assert "affs.h5 has affinities from" in answer.text
    assert "allowed are 0 to 1" in answer.text


def test_affinities_that_cannot_be_read_are_an_error(
    sources: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "affs.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("main", data=wall(0), chunks=(1, 60, 20, 20), compression="gzip")
        chunk = made.id.get_chunk_info(0)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * chunk.size)
    answer = sources(0, *components(path))
    assert answer.status_code == 503
    assert "affs.h5" in answer.text
