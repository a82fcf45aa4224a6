"""HDF5 files of several datasets: which of them are volumes, and what a path without a part is."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox
from bfly.sources.hdf5 import HDF5
from bfly.sources.hdf5.datasets import LINKED
from bfly.storage.files import Files
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (4, 9, 10)


def full(value: int, shape: tuple[int, ...] = SHAPE, dtype: str = "u1") -> np.ndarray:
    return np.full(shape, value, dtype)


def write(path: Path, content: dict[str, Any]) -> str:
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value
    return str(path)


def listed(path: str, files: Files | None = None) -> list[str]:
    return [str(part) for part in HDF5.parts(path, files or Files())]


def value(path: str, text: str = "", files: Files | None = None) -> int:
    """Return the value of all voxels of a part."""
    source = HDF5.open(path, files=files, part=Part.parse(text))
    voxels = source.read(0, source.scales[0].box)
    (only,) = np.unique(voxels)
    return int(only)


CREMI = {
    "annotations/ids": np.arange(5, dtype="u8"),
    "annotations/locations": np.zeros((5, 3)),
    "volumes/labels/clefts": full(1, dtype="u8"),
    "volumes/labels/neuron_ids": full(2, dtype="u8"),
    "volumes/raw": full(3),
}


def test_each_dataset_is_a_volume(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = write(tmp_path / "sample.hdf", CREMI)
    assert listed(path) == ["", "volumes/labels/neuron_ids", "volumes/raw"]
    assert not caplog.records
    assert value(path) == 1
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: the volume volumes/labels/clefts is served; others are "
        "#volumes/labels/neuron_ids, #volumes/raw."
    )
    assert value(path, "volumes/raw") == value(path, "/volumes/raw") == 3
    assert len(caplog.records) == 1
    with pytest.raises(SourceError, match=r"no dataset volumes/x; it has \['annotations/ids'"):
        value(path, "volumes/x")


def test_main_alone_and_one_dataset_alone_have_no_parts(tmp_path: Path) -> None:
    assert listed(write(tmp_path / "a.h5", {"main": full(1)})) == [""]
    assert listed(write(tmp_path / "b.h5", {"group/stack": full(1), "t": np.zeros((2, 2))})) == [""]
    assert listed(write(tmp_path / "c.h5", {"t": np.zeros((2, 2))})) == [""]


def test_main_is_the_default_and_others_are_parts(tmp_path: Path) -> None:
    path = write(tmp_path / "v.h5", {"a": full(1), "main": full(2), "z": full(3)})
    assert listed(path) == ["", "a", "z"]
    assert value(path) == value(path, "main") == 2


def test_the_default_has_three_axes(tmp_path: Path) -> None:
    path = write(tmp_path / "v.h5", {"a": full(1, (2, *SHAPE)), "b-c": full(2), "b/s0": full(3)})
    assert value(path) == 2
    assert listed(path) == ["", "a", "a,c=1", "b/s0"]


def test_the_order_of_names_counts_groups_in_full(tmp_path: Path) -> None:
    levels = {"b/s0": full(3), "b/s1": full(3, (2, 5, 5))}
    path = write(tmp_path / "v.h5", {"b-c": full(2), **levels})
    assert value(path) == 2
    assert listed(path) == ["", "b"]


def test_a_dataset_with_several_names_is_one_volume(tmp_path: Path) -> None:
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        file["labels"] = full(1)
        file["main"] = file["labels"]
        file["raw"] = full(2)
        file["again/raw"] = file["raw"]
        file["soft"] = h5py.SoftLink("/raw")
        file["self"] = h5py.ExternalLink("v.h5", "/raw")
        file["loop"] = file["/"]
    assert listed(str(path)) == ["", "again/raw"]
    assert value(str(path), "soft") == value(str(path), "self") == 2
    with h5py.File(path, "a") as file:
        del file["main"]
        file["main"] = h5py.SoftLink("/raw")
    assert listed(str(path)) == ["", "labels"]
    assert value(str(path)) == 2


def test_what_is_no_volume(tmp_path: Path) -> None:
    content = {
        "raw": full(1),
        "labels/s0": full(2, dtype="u8"),
        "unique-labels/s0": full(0, dtype="u8"),
        "label-to-block-mapping/s0": full(0, dtype="u8"),
        "fragment-segment-assignment": np.zeros((2, 7), "u8"),
        "table": np.zeros((3, 2)),
        "text": np.full(SHAPE, b"x"),
        "pairs": np.zeros(SHAPE, [("a", "u1"), ("b", "u1")]),
        "empty": np.zeros((0, 3, 4)),
        "scalar": 7,
        "nothing": h5py.Empty("u1"),
    }
    assert listed(write(tmp_path / "v.h5", content)) == ["", "raw"]


def test_levels_of_a_group_are_mips(tmp_path: Path) -> None:
    fine = np.random.default_rng(0).integers(0, 9, (4, 16, 12)).astype("u8")
    coarse, coarsest = fine[::2, ::2, ::2] + 100, fine[::2, ::4, ::4] + 200
    content = {"raw": full(1), "seg/s0": fine, "seg/s1": coarse, "seg/s2": coarsest}
    path = write(tmp_path / "v.h5", content)
    assert listed(path) == ["", "seg"]
    source = HDF5.open(path, part=Part.parse("seg"))
    assert {mip: scale.factor for mip, scale in source.scales.items()} == {
        0: (1, 1, 1),
        1: (2, 2, 2),
        2: (2, 4, 4),
    }
    for mip, voxels in enumerate((fine, coarse, coarsest)):
        np.testing.assert_array_equal(source.read(mip, source.scales[mip].box), voxels)
        target = np.zeros(voxels.shape, source.dtype)
        source.read_into(mip, source.scales[mip].box, target)
        np.testing.assert_array_equal(target, voxels)
    assert value(write(tmp_path / "w.h5", {"s0": full(1), "s1": full(2)})) == 1
    assert listed(str(tmp_path / "w.h5")) == ["", "s1"]
    levels = {"s0": full(1, (4, 8, 8)), "s1": full(2, (2, 4, 4), "u2")}
    with pytest.raises(SourceError, match=r"/s1 holds uint16, the finest level uint8"):
        value(write(tmp_path / "x.h5", levels))


def eiger(folder: Path, counts: list[int], first: int = 1) -> str:
    """Write a master file that links to files of images; the value of each is its number."""
    with h5py.File(folder / "run_master.h5", "w") as master:
        master["entry/instrument/detector/pixel_mask"] = np.zeros(SHAPE[1:], "u4")
        for number, count in enumerate(counts, first):
            name = f"run_data_{number:06}.h5"
            with h5py.File(folder / name, "w") as file:
                file["entry/data/data"] = full(number, (count, *SHAPE[1:]), "u4")
            master[f"entry/data/data_{number:06}"] = h5py.ExternalLink(name, "entry/data/data")
    return str(folder / "run_master.h5")


def test_images_behind_the_links_of_eiger_continue_along_z(tmp_path: Path) -> None:
    path = eiger(tmp_path, [3, 3, 1])
    assert listed(path) == [""]
    source = HDF5.open(path)
    assert source.scales[0].shape == (7, *SHAPE[1:])
    voxels = source.read(0, source.scales[0].box)
    assert voxels[:, 0, 0].tolist() == [1, 1, 1, 2, 2, 2, 3]
    assert value(path, "entry/data/data_000002") == 2
    data = {name for name in source.all_files() if "data_" in name}
    assert len(data) == 3


def test_a_missing_file_of_eiger_is_named(tmp_path: Path) -> None:
    path = eiger(tmp_path, [3, 3, 1])
    (tmp_path / "run_data_000002.h5").unlink()
    assert listed(path) == [""]
    with pytest.raises(SourceError, match=r"run_data_000002\.h5"):
        value(path)


def test_images_that_do_not_follow_each_other_are_volumes_of_their_own(tmp_path: Path) -> None:
    path = eiger(tmp_path, [3, 3, 3])
    with h5py.File(path, "a") as file:
        del file["entry/data/data_000002"]
    assert listed(path) == ["", "entry/data/data_000003"]
    assert (value(path), value(path, "entry/data/data_000003")) == (1, 3)


def test_datasets_behind_links_count_inside_the_allowed_folders(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        write(folder / "real.h5", {"deep/raw": full(5), "deep/seg": full(6, dtype="u8")})
    path = inside / "v.h5"
    with h5py.File(path, "w") as file:
        file["here"] = full(1)
        file["group"] = h5py.ExternalLink("real.h5", "/deep")
        file["raw"] = h5py.ExternalLink("real.h5", "/deep/raw")
        file["secret"] = h5py.ExternalLink(str(outside / "real.h5"), "/deep/raw")
        file["gone"] = h5py.ExternalLink("gone.h5", "/raw")
        file["dangling"] = h5py.SoftLink("/nothing")
        file["a"] = h5py.ExternalLink("v.h5", "b")
        file["b"] = h5py.ExternalLink("v.h5", "a")
    files = Files([str(inside)])
    names = listed(str(path), files)
    assert names == ["", "group/seg", "raw"]
    assert [value(str(path), name, files) for name in names] == [1, 6, 5]
    text = caplog.text
    assert all(f"the link /{name} cannot be followed" in text for name in ("secret", "gone", "a"))
    with pytest.raises(NotAllowed):
        value(str(path), "secret", files)


def test_soft_links_in_a_linked_group_are_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
    write(outside / "real.h5", {"raw": full(9)})
    with h5py.File(inside / "real.h5", "w") as file:
        file["raw"], file["labels"] = full(5), full(6, dtype="u8")
        file["view/raw"] = h5py.SoftLink("/raw")
        file["view/deep/labels"] = h5py.SoftLink("/labels")
        file["view/gone"] = h5py.SoftLink("/nothing")
        file["view/around"] = h5py.SoftLink("/view/around")
        file["view/self"] = h5py.SoftLink("/view")
        file["secret"] = h5py.ExternalLink(str(outside / "real.h5"), "/raw")
        file["view/secret"] = h5py.SoftLink("/secret")
    path = str(inside / "v.h5")
    with h5py.File(path, "w") as file:
        file["view"] = h5py.ExternalLink("real.h5", "/view")
    files = Files([str(inside)])
    names = listed(path, files)
    assert names == ["", "view/raw"]
    assert [value(path, name, files) for name in names] == [6, 5]
    text = caplog.text
    assert "the link /view/around cannot be followed" in text
    assert "the link /view/secret cannot be followed" in text
    assert str(outside / "real.h5") in text


def test_many_soft_links_hide_no_link_to_another_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "real.h5", {"raw": full(5)})
    with h5py.File(tmp_path / "v.h5", "w") as file:
        for number in range(LINKED + 10):
            file[f"a/{number}"] = h5py.SoftLink("/nothing")
        file["z"] = h5py.ExternalLink("real.h5", "/raw")
    assert value(str(tmp_path / "v.h5")) == 5
    assert not caplog.messages


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("gone.h5", SourceError, r"raw needs another file, .*gone\.h5"),
        ("../out/real.h5", NotAllowed, r"out/real\.h5 is not in allowed-paths"),
        ("v.h5", SourceError, "more than 16 links, perhaps in a circle"),
    ],
)
def test_a_file_of_nothing_but_a_broken_link_names_it(
    tmp_path: Path, target: str, error: type[Exception], message: str
) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
    write(outside / "real.h5", {"raw": full(9)})
    with h5py.File(inside / "v.h5", "w") as file:
        file["raw"] = h5py.ExternalLink(target, "/raw")
    with pytest.raises(error, match=message):
        HDF5.open(str(inside / "v.h5"), files=Files([str(inside)]))


def test_a_main_outside_the_allowed_folders_is_not_opened(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
    write(outside / "real.h5", {"main": full(5)})
    with h5py.File(inside / "v.h5", "w") as file:
        file["main"] = h5py.ExternalLink(str(outside / "real.h5"), "main")
        file["raw"] = full(1)
    files = Files([str(inside)])
    with pytest.raises(NotAllowed):
        listed(str(inside / "v.h5"), files)
    with pytest.raises(NotAllowed):
        value(str(inside / "v.h5"), files=files)
    assert value(str(inside / "v.h5"), "raw", files) == 1


def test_main_is_served_though_other_volumes_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "v.h5", {"main": full(2), "z": full(3)})

    def fail(*_: object) -> None:
        raise RuntimeError("bad heap free list")

    monkeypatch.setattr("bfly.sources.hdf5.bdv.entries", fail)
    assert value(path) == 2
    assert "its other volumes cannot be listed: bad heap free list" in caplog.text


def test_a_name_that_a_path_cannot_have_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "v.h5", {"a": full(1), "b#c": full(2), "b,c=1": full(3)})
    assert listed(path) == [""]
    assert "b#c cannot be named in a path" in caplog.text
    assert "b,c=1 cannot be named in a path" in caplog.text


def test_the_search_is_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with h5py.File(tmp_path / "many.h5", "w") as file:
        for number in range(1010):
            file.create_dataset(f"{number:04}", SHAPE, "u1")
    assert len(listed(str(tmp_path / "many.h5"))) == 1000
    assert "many.h5 has too many" in caplog.text
    caplog.clear()
    with h5py.File(tmp_path / "links.h5", "w") as file:
        for number in range(LINKED + 10):
            file[f"{number:04}"] = h5py.ExternalLink("many.h5", f"{number % 2:04}")
    assert len(listed(str(tmp_path / "links.h5"))) == 2
    assert "links.h5 has too many" in caplog.text


def test_a_pointer_names_its_datasets(tmp_path: Path) -> None:
    write(tmp_path / "v.h5", CREMI)
    pointer = tmp_path / "p.json"
    parts = [{"filename": "v.h5", "dataset-path": "volumes/labels/neuron_ids"}]
    pointer.write_text(json.dumps([*parts, {"filename": "v.h5"}]))
    assert listed(str(pointer)) == [""]
    source = HDF5.open(str(pointer))
    voxels = source.read(0, BoundingBox.of_shape((8, 1, 1)))
    assert voxels.ravel().tolist() == [2] * 4 + [1] * 4
    with pytest.raises(SourceError, match=r"p\.json has no part volumes/raw: a pointer names"):
        value(str(pointer), "volumes/raw")


def test_parts_of_one_file_have_states_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "v.h5", CREMI)
    sources = [HDF5.open(path, part=part) for part in HDF5.parts(path, Files())]
    assert WHOLE in [source.part for source in sources]
    assert len({source.state() for source in sources}) == 3
