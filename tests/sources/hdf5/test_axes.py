"""HDF5 datasets whose axes are named, are more than three, or are one voxel long."""

from __future__ import annotations

import itertools
import json
import logging
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.sources.encoded_chunks import StoredAs
from bfly.sources.hdf5 import HDF5
from bfly.storage.files import Files
from bfly.storage.part import Part

if TYPE_CHECKING:
    from pathlib import Path

SIDES = {"t": 2, "c": 3, "z": 5, "y": 14, "x": 11}

LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "gzip": {"chunks": True, "compression": "gzip"},
    "lzf": {"chunks": True, "compression": "lzf", "shuffle": True},
    "scaleoffset": {"chunks": True, "scaleoffset": 0},
    "virtual": {},
}


def tags(letters: str) -> str:
    flags = {"c": 1, "t": 8}
    axes = [{"key": c, "typeFlags": flags.get(c, 2), "resolution": 0} for c in letters]
    return json.dumps({"axes": axes})


def volume_of(letters: str, dtype: str = "u2") -> np.ndarray:
    shape = [SIDES[letter] for letter in letters]
    return np.random.default_rng(0).integers(0, 1000, shape).astype(dtype)


def write(path: Path, volume: np.ndarray, layout: str = "contiguous", name: str = "main") -> str:
    with h5py.File(path, "w") as file:
        if layout == "virtual":
            with h5py.File(path.with_suffix(".real"), "w") as real:
                real["v"] = volume
            made = h5py.VirtualLayout(volume.shape, volume.dtype)
            made[...] = h5py.VirtualSource(path.with_suffix(".real"), "v", volume.shape)
            file.create_virtual_dataset(name, made)
        else:
            options = dict(LAYOUTS[layout])
            if options.pop("chunks", False):
                options["chunks"] = tuple(max(1, (n + 1) // 2) for n in volume.shape)
            file.create_dataset(name, data=volume, **options)
    return str(path)


def name_axes(path: str, letters: str, name: str = "main") -> None:
    with h5py.File(path, "a") as file:
        file[name].attrs["axistags"] = tags(letters)


def expected(volume: np.ndarray, letters: str, **places: int) -> np.ndarray:
    """Return the voxels in the order z, y, x."""
    index = tuple(places.get(c, 0) if c not in "zyx" else slice(None) for c in letters)
    left = [c for c in letters if c in "zyx"]
    cut = volume[index]
    if "z" not in left:
        cut, left = cut[np.newaxis], ["z", *left]
    return cut.transpose([left.index(c) for c in "zyx"])


def check(source: HDF5, voxels: np.ndarray) -> None:
    assert source.scales[0].shape == voxels.shape
    whole = BoundingBox.of_shape(voxels.shape)
    inner = BoundingBox(tuple(n // 3 for n in voxels.shape), voxels.shape)
    for box in (whole, inner):
        np.testing.assert_array_equal(source.read(0, box), voxels[box.slices])
        target = np.zeros(box.shape, source.dtype)
        source.read_into(0, box, target)
        np.testing.assert_array_equal(target, voxels[box.slices])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("letters", ["".join(p) for p in itertools.permutations("xyz")])
def test_axes_in_any_order(tmp_path: Path, letters: str, layout: str) -> None:
    volume = volume_of(letters)
    path = write(tmp_path / "v.h5", volume, layout)
    name_axes(path, letters)
    check(HDF5.open(path), expected(volume, letters))


ORDERS = """
czyx zcyx zyxc xyzc cxyz tzyx zyxt tzyxc tczyx ctzyx xyzct tzcyx cyx yxc tyx tcyx xyc tyxc
"""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("letters", ORDERS.split())
def test_each_channel_and_time_is_a_volume(tmp_path: Path, letters: str, layout: str) -> None:
    volume = volume_of(letters, "u1" if layout == "gzip" else "u2")
    path = write(tmp_path / "v.h5", volume, layout)
    name_axes(path, letters)
    parts = HDF5.parts(path, Files())
    others = [c for c in letters if c not in "zyx"]
    assert len(parts) == np.prod([SIDES[c] for c in others])
    seen = set()
    for part in parts:
        places = {c: int(part.of_axis(c) or 0) for c in others}
        seen.add(tuple(places.values()))
        check(HDF5.open(path, part=part), expected(volume, letters, **places))
    assert len(seen) == len(parts)
    assert not parts[0]


def test_a_part_says_where_it_is_on_each_axis(tmp_path: Path) -> None:
    path = write(tmp_path / "v.h5", volume_of("tzyxc"))
    name_axes(path, "tzyxc")
    texts = [str(part) for part in HDF5.parts(path, Files())]
    assert texts == ["", "c=1", "c=2", "t=1", "c=1,t=1", "c=2,t=1"]
    for text, message in (
        ("c=3", r"/main: c is 3; allowed are 0 to 2"),
        ("s=0", r"/main has no axis s .* t, z, y, x, c"),
        ("z=0", r"/main has no axis z"),
    ):
        with pytest.raises(SourceError, match=message):
            HDF5.open(path, part=Part.parse(text))


@pytest.mark.parametrize(
    "shape", [(1, 5, 14, 11), (5, 14, 11, 1), (5, 1, 14, 11), (1, 5, 14, 11, 1), (1, 1, 14, 11)]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_axes_of_one_voxel_are_dropped(
    tmp_path: Path, shape: tuple[int, ...], layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    volume = np.random.default_rng(0).integers(0, 200, shape).astype("u2")
    path = write(tmp_path / "v.h5", volume, layout)
    voxels = volume.reshape(5 if 5 in shape else 1, 14, 11)
    check(HDF5.open(path), voxels)
    assert len(HDF5.parts(path, Files())) == 1
    assert not caplog.records


def test_chunks_of_dropped_axes_are_passed_on_as_they_are(tmp_path: Path) -> None:
    volume = volume_of("zyx", "u1")
    for number, shape in enumerate([(1, 5, 14, 11), (5, 14, 11, 1)]):
        path = str(tmp_path / f"{number}.h5")
        with h5py.File(path, "w") as file:
            chunks = tuple(min(n, 4) for n in shape)
            made = file.create_dataset("main", shape, "u1", chunks=chunks, compression="gzip")
            made[...] = volume.reshape(shape)
        source = HDF5.open(path)
        way = StoredAs("raw", "deflate")
        assert source.stored_as(0) == (way,)
        assert source.read_encoded(0, (0, 1, 1), way)
        check(source, volume)
    for letters in ("xyz", "zyxc"):
        path = write(tmp_path / f"{letters}.h5", volume_of(letters, "u1"), "gzip")
        name_axes(path, letters)
        assert HDF5.open(path).stored_as(0) == ()


def label(dataset: Any, letters: str) -> None:
    for axis, letter in enumerate(letters):
        dataset.dims[axis].label = letter


def scale(dataset: Any, letters: str) -> None:
    for axis, letter in enumerate(letters):
        made = dataset.file.create_dataset(f"scales/{letter}", data=np.zeros(dataset.shape[axis]))
        made.make_scale(letter)
        dataset.dims[axis].attach_scale(made)


def scale_by_its_path(dataset: Any, letters: str) -> None:
    for axis, letter in enumerate(letters):
        made = dataset.file.create_dataset(letter, data=np.zeros(dataset.shape[axis]))
        made.make_scale()
        dataset.dims[axis].attach_scale(made)


@pytest.mark.parametrize(
    "state",
    [
        label,
        scale,
        scale_by_its_path,
        lambda d, letters: label(d, [{"c": "channel", "x": "X axis"}.get(c, c) for c in letters]),
        lambda d, letters: label(d, [c if c == "c" else "" for c in letters]),
        lambda d, letters: d.attrs.update({"axes": list(letters)}),
        lambda d, letters: d.attrs.update({"axis_names": ["c^", *letters[1:]]}),
        lambda d, letters: d.attrs.update({"axistags": np.bytes_(tags(letters))}),
    ],
)
def test_the_ways_to_name_axes(tmp_path: Path, state: Any) -> None:
    volume = volume_of("czyx")
    path = write(tmp_path / "v.h5", volume)
    with h5py.File(path, "a") as file:
        state(file["main"], "czyx")
    check(HDF5.open(path, part=Part.parse("c=2")), volume[2])


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((3, 9, 14, 11), 0), ((9, 14, 11, 2), 3), ((12, 20, 30, 40), 0)],
)
def test_a_short_axis_without_a_name_is_taken_for_channels_and_that_is_said(
    tmp_path: Path, shape: tuple[int, ...], channels: int, caplog: pytest.LogCaptureFixture
) -> None:
    volume = np.random.default_rng(0).integers(0, 200, shape).astype("u1")
    path = write(tmp_path / "v.h5", volume)
    source = HDF5.open(path, part=Part.parse("c=1"))
    check(source, volume.take(1, channels))
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert f"v.h5: the dataset /main has the shape {shape}" in record.getMessage()
    assert f"axis {channels} is taken for channels" in record.getMessage()


@pytest.mark.parametrize(
    ("shape", "state"),
    [
        ((9, 3, 14, 11), {}),
        ((3, 14, 11, 3), {}),
        ((80, 90, 91, 92), {}),
        ((2, 3, 5, 14, 11), {}),
        ((3, 5, 14, 11), {"axistags": tags("cstx")}),
        ((5, 14, 11), {"axistags": tags("tcx")}),
    ],
)
def test_axes_that_may_be_any_are_refused(
    tmp_path: Path, shape: tuple[int, ...], state: dict[str, str]
) -> None:
    path = write(tmp_path / "v.h5", np.zeros(shape, "u1"))
    with h5py.File(path, "a") as file:
        file["main"].attrs.update(state)
    with pytest.raises(
        SourceError, match=r"v\.h5: the dataset /main has the shape .* is not known"
    ):
        HDF5.open(path)


@pytest.mark.parametrize("text", ["{", "[]", '{"axes": [1, 2, 3]}', tags("zy"), tags("zzz"), "7"])
def test_damaged_names_are_none(tmp_path: Path, text: str) -> None:
    volume = volume_of("zyx")
    path = write(tmp_path / "v.h5", volume)
    with h5py.File(path, "a") as file:
        file["main"].attrs["axistags"] = text
    check(HDF5.open(path), volume)


def test_the_voxel_size_follows_the_axes(tmp_path: Path) -> None:
    for letters, lengths in (("xyz", [4, 5, 40]), ("czyx", [40, 5, 4]), ("xyzc", [4, 5, 40, 1])):
        path = write(tmp_path / f"{letters}.h5", volume_of(letters))
        name_axes(path, letters)
        with h5py.File(path, "a") as file:
            file["main"].attrs["resolution"] = lengths
        assert HDF5.open(path).voxel_size == (40, 5, 4)
    with h5py.File(path, "a") as file:
        del file["main"].attrs["resolution"]
        file["main"].attrs["element_size_um"] = [0.04, 0.005, 0.004]
    assert HDF5.open(path).voxel_size == pytest.approx((40, 5, 4))


def test_many_times_are_listed_up_to_a_limit(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        made = file.create_dataset("main", (1 << 40, 3, 4, 5), "u1", chunks=(1, 3, 4, 5))
        made.attrs["axistags"] = tags("tzyx")
        made[70_000] = 7
    path = str(tmp_path / "v.h5")
    assert len(HDF5.parts(path, Files())) == 1000
    check(HDF5.open(path, part=Part.parse("t=70000")), np.full((3, 4, 5), 7, "u1"))
