"""Cutouts of patched labels: every mip, box and state, against plain NumPy."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfly.cutouts import patched as module
from bfly.edits.cut import cut
from bfly.edits.merge import merged
from bfly.edits.patch import Fresh, painted
from bfly.edits.undo import undone
from bfly.geometry import BoundingBox
from bfly.queries.data import DataQuery
from bfly.testing.volumes import padded_slice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core
    from bfly.volumes.region import Region

    Voxels = np.ndarray[Any, np.dtype[Any]]

SHAPE = (6, 22, 28)
IDS = Fresh(100, 2**32 - 1)


def labels_of(seed: int) -> Voxels:
    """Return blocks of labels 0 to 20 with noise at their faces."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 21, [-(-n // 6) for n in SHAPE])
    labels = blocks.repeat(6, 0).repeat(6, 1).repeat(6, 2)[tuple(map(slice, SHAPE))]
    return np.where(random.random(SHAPE) < 0.1, np.roll(labels, 1, 2), labels).astype("u4")


def write_hdf5(path: Path, labels: Voxels) -> str:
    with h5py.File(path / "seg.h5", "w") as file:
        file.create_dataset("main", data=labels, chunks=(4, 8, 8))
    return str(path / "seg.h5")


def write_zarr(path: Path, labels: Voxels) -> str:
    """Write two mips, the second with every other voxel and not the most frequent ones."""
    group = zarr.open_group(path / "seg.zarr", mode="w", zarr_format=2)
    scales = []
    for mip, step in enumerate((1, 2)):
        part = labels[:, ::step, ::step]
        group.create_array(str(mip), shape=part.shape, chunks=(4, 8, 8), dtype="u4")[:] = part
        scale = [{"type": "scale", "scale": [1.0, float(step), float(step)]}]
        scales.append({"path": str(mip), "coordinateTransformations": scale})
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": scales}]
    return str(path / "seg.zarr")


WRITERS = {"computed mips": write_hdf5, "stored mips": write_zarr}


def modes(labels: Voxels, factor: Any, first: Any) -> Voxels:
    """Return the most frequent label of each block, the smallest of equally frequent ones."""
    low = np.array(first) // factor
    high = -(-(np.array(first) + labels.shape) // factor)
    coarse = np.zeros(high - low, labels.dtype)
    for place in itertools.product(*map(range, high - low)):
        start = (low + place) * factor - first
        part = labels[tuple(slice(max(0, a), a + f) for a, f in zip(start, factor, strict=True))]
        values, counts = np.unique(part, return_counts=True)
        coarse[place] = values[counts.argmax()]
    return coarse


def model(
    stored: Voxels, before: Voxels, after: Voxels, factor: Any, first: Any, counted: bool
) -> Voxels:
    """Return a mip after changes of mip 0.

    Parameters
    ----------
    stored : numpy.ndarray
        The mip before.
    """
    low = np.array(first) // factor
    result = stored.copy()
    coarse = modes(after, factor, first) if counted else None
    for place in itertools.product(*map(range, stored.shape)):
        start = (low + place) * factor - first
        box = tuple(slice(max(0, a), a + f) for a, f in zip(start, factor, strict=True))
        if coarse is not None:
            if (before[box] != after[box]).any():
                result[place] = coarse[place]
            continue
        middle = tuple((start + np.array(factor) // 2).tolist())
        inside = all(0 <= m < n for m, n in zip(middle, after.shape, strict=True))
        if inside and result[place] == before[middle]:
            result[place] = after[middle]
    return result


def cutout(core: Core, path: str, mip: int, box: BoundingBox, **words: Any) -> Voxels:
    return core._cutouts.gather(region(core, path, mip, box, **words))


def region(core: Core, path: str, mip: int, box: BoundingBox, **words: Any) -> Region:
    query = DataQuery(path=path, resolution=mip, **words)
    query.update_source(core.update_query(query))
    return query.region.part(box)


def random_mask(random: Any) -> Any:
    mask = np.zeros(SHAPE, bool)
    low = [random.integers(0, n) for n in SHAPE]
    mask[tuple(slice(a, a + random.integers(1, 16)) for a in low)] = True
    return mask & (random.random(SHAPE) < 0.9)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("offset", [(0, 0, 0), (1, 3, 5)])
@given(seed=st.integers(0, 2**32 - 1))
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_cutouts_equal_a_model_at_every_mip_box_and_state(
    kind: str,
    offset: tuple[int, int, int],
    seed: int,
    make_core: Callable[..., Core],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Read warm and cold, patched and as segments, and after an undo."""
    monkeypatch.setattr(module, "COUNTED", 64)
    folder = tmp_path / str(seed)
    folder.mkdir(exist_ok=True)
    labels = labels_of(seed)
    path = WRITERS[kind](folder, labels)
    core, random = make_core(), np.random.default_rng(seed)
    words: dict[str, Any] = {"kind": "segmentation", "voxel_offset": offset}
    volume = core.update_query(DataQuery(path=path, **words))["volume"]
    levels = [volume.level(mip) for mip in range(4)]
    as_stored = {
        level.mip: cutout(core, path, level.mip, level.place, labels="supervoxels", **words)
        for level in levels
    }
    edits = core.edits.channel(path)
    images = [(labels, as_stored)]
    whole = BoundingBox.of_shape(SHAPE)
    for step in range(4):
        before, mips = images[-1]
        if step == 3:
            edits.append(
                lambda state: [undone(state, edits.history, [state.position], 1000, who="")]
            )
            after, mips = images[-2]
        else:
            into = [None, 5, 0][step]
            mask = random_mask(random)

            def plan(state: Any, mask: Any = mask, into: Any = into, now: Any = before) -> Any:
                return [painted(state, whole, now, mask, into, IDS, "")]

            edits.append(plan)
            after = edits.state.patches.apply(labels, (0, 0, 0))
            new = [edits.state.patches.last, edits.state.patches.last, 0][step]
            assert np.array_equal(after, np.where(mask & (before != into), new, before))
            mips = {
                level.mip: model(
                    mips[level.mip],
                    before,
                    after,
                    level.factor,
                    offset,
                    bool(np.prod(level.factor) <= 64),
                )
                for level in levels
            }
        images.append((after, mips))
        edits.append(lambda state: [merged(state, [1, 2], "")] if state.position == 1 else [])
        for level in levels:
            place = level.place
            low = [random.integers(a - 2, b) for a, b in zip(place.start, place.stop, strict=True)]
            box = BoundingBox(tuple(low), tuple(a + random.integers(1, 20) for a in low))
            expected = padded_slice(mips[level.mip], box.relative_to(place.start))
            found = cutout(core, path, level.mip, box, labels="patched", **words)
            assert np.array_equal(found, expected), level.mip
            state = edits.state
            segments = state.segments(expected.ravel().astype(np.uint64)).reshape(box.shape)
            assert np.array_equal(cutout(core, path, level.mip, box, **words), segments)
            past_cache = np.empty(box.shape, "u4")
            wanted = region(core, path, level.mip, box, labels="patched", **words)
            core._cutouts.fill(wanted, past_cache)
            assert np.array_equal(past_cache, expected)
            stored = cutout(core, path, level.mip, place, labels="supervoxels", **words)
            assert np.array_equal(stored, as_stored[level.mip])


def test_only_patched_tiles_are_made_again(make_core: Callable[..., Core], tmp_path: Path) -> None:
    labels = np.ones((8, 128, 128), "u4")
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file.create_dataset("main", data=labels, chunks=(8, 64, 64))
    path, core = str(tmp_path / "seg.h5"), make_core()
    edits = core.edits.channel(path)
    edits.append(lambda state: [merged(state, [2, 1], "")])
    boxes = [BoundingBox.of_shape((8, 64, 64), (0, 0, x)) for x in (0, 64)]
    words = {"kind": "segmentation"}
    near, far = (cutout(core, path, 0, box, **words) for box in boxes)
    box = BoundingBox.of_shape((1, 2, 3))
    mask = np.ones(box.shape, bool)
    edits.append(lambda s: [painted(s, box, labels[box.slices], mask, None, IDS, "")])
    assert np.shares_memory(cutout(core, path, 0, boxes[1], **words), far)
    again = cutout(core, path, 0, boxes[0], **words)
    assert (again[:1, :2, :3] == 100).all()
    assert np.count_nonzero(again != near) == 6
    assert not again.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        cutout(core, path, 0, boxes[0], labels="patched", **words)[0] = 1
    edits.append(lambda state: [cut(state, edits.history, [np.array([1], "u8")], 1000, "")])
    assert (cutout(core, path, 0, boxes[1], **words) == 1).all()
