"""The label index, beside numpy."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, indexes
from bfly.segments import index_writer, merging
from bfly.segments.index import ABOUT, POSTINGS, Index
from bfly.segments.index_writer import write_index
from bfly.segments.posting import POSTING, postings_of
from bfly.segments.rows import RowFile, writing

if TYPE_CHECKING:
    from typing import Any

CELL = 4, 5, 6

LABELS = (1, 2, 3, 7, 2**40 + 1, 2**63 + 5, 2**64 - 1)


def files_of(voxels: np.ndarray, folder: Path) -> list[str]:
    """Write the postings of each cell; return the files."""
    files = []
    whole = BoundingBox.of_shape(voxels.shape)
    for number, index in enumerate(indexes(whole.in_tiles(CELL))):
        box = BoundingBox.of_shape((1, 1, 1), index).refined(CELL) & whole
        files.append(str(folder / f"cell-{number}"))
        with writing(files[-1]) as add:
            add(postings_of(np.ascontiguousarray(voxels[box.slices]), box.start))
    return files


def built(voxels: np.ndarray, folder: Path) -> Index:
    write_index(str(folder / "index"), files_of(voxels, folder), str(folder / "drafts"))
    return Index(str(folder / "index"))


def check(row: Any, mask: np.ndarray) -> None:
    places = np.argwhere(mask)
    assert row["voxels"] == len(places)
    assert row["low"].tolist() == places.min(axis=0).tolist()
    assert row["high"].tolist() == (places.max(axis=0) + 1).tolist()
    assert mask[tuple(row["point"])]


@st.composite
def volumes(draw: st.DrawFn) -> np.ndarray:
    shape = draw(st.tuples(*[st.integers(1, 11)] * 3))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    dtype = draw(st.sampled_from(["u1", "u2", "u4", "u8", "i4"]))
    most = np.iinfo(dtype).max
    labels = np.array([0, 0, *(label for label in LABELS if label <= most)], "u8")
    coarse = random.choice(labels, [-(-side // 2) for side in shape])
    fine = coarse.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return np.ascontiguousarray(fine[: shape[0], : shape[1], : shape[2]].astype(dtype))


@given(volumes())
def test_the_index_equals_numpy(voxels: np.ndarray) -> None:
    with TemporaryDirectory() as folder:
        index = built(voxels, Path(folder))
        labels = np.unique(voxels[voxels != 0]).astype("u8")
        rows = index.of(np.array([5, *LABELS, *labels], "u8"))
        assert rows["label"].tolist() == labels.tolist()
        for row in rows:
            check(row, voxels == row["label"])
        assert index.summary.voxels == np.count_nonzero(voxels)
        assert index.summary.labels == len(labels)
        sizes = index.largest(0, 99)
        assert sorted(sizes["label"].tolist()) == labels.tolist()
        assert (np.diff(sizes["voxels"].astype("i8")) <= 0).all()
        assert dict(zip(rows["label"], rows["voxels"], strict=True)) == dict(
            zip(sizes["label"], sizes["voxels"], strict=True)
        )
        if len(labels) > 1:
            groups = labels % 2
            for row in index.of_groups(labels[::-1], groups[::-1]):
                check(row, np.isin(voxels, labels[groups == row["label"]]))


def test_each_label_has_a_posting_for_each_cell_that_it_is_in(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 9, (9, 11, 13)).astype("u4")
    rows = built(voxels, tmp_path).postings(np.array([4, 8], "u8"))
    for label in (4, 8):
        cells = {tuple(place) for place in np.argwhere(voxels == label) // CELL}
        mine = rows[rows["label"] == label]
        assert len(mine) == len(cells)
        assert {tuple(low) for low in mine["low"] // np.array(CELL)} == cells


@pytest.mark.parametrize("memory", [1, 500, 1 << 20])
def test_many_files_are_merged_in_parts(
    tmp_path: Path, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_writer, "DRAFT", 7)
    monkeypatch.setattr(index_writer, "AT_ONCE", 3)
    monkeypatch.setattr(merging.merged, "__defaults__", (memory,))
    voxels = np.random.default_rng(1).integers(0, 3000, (9, 21, 23)).astype("u4")
    index = built(voxels, tmp_path)
    labels, counts = np.unique(voxels[voxels > 0], return_counts=True)
    rows = index.of(labels.astype("u8"))
    assert rows["voxels"].tolist() == counts.tolist()
    sizes = index.largest(0, 10_000)
    assert sizes["voxels"].tolist() == sorted(counts.tolist(), reverse=True)
    assert index.largest(5, 8).tolist() == sizes[5:8].tolist()
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == [
        ABOUT,
        "fences",
        "postings",
        "sizes",
    ]


def test_an_index_of_nothing(tmp_path: Path) -> None:
    index = built(np.zeros((3, 4, 5), "u8"), tmp_path)
    assert len(index.of(np.array([1], "u8"))) == len(index.largest(0, 5)) == 0


def test_damage_is_an_error(tmp_path: Path) -> None:
    index = built(np.ones((3, 4, 5), "u8"), tmp_path)
    path = Path(index.folder, POSTINGS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(SourceError, match=r"postings ends within a row: it has \d+ bytes"):
        Index(index.folder)
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="is damaged: it has"):
        Index(index.folder)
    with pytest.raises(SourceError, match="fewer rows than the 1 it had"):
        index.of(np.array([1], "u8"))
    Path(index.folder, ABOUT).unlink()
    with pytest.raises(SourceError, match=r"about\.json cannot be read"):
        Index(index.folder)


def test_what_is_written_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "rows"

    def interrupted() -> None:
        with writing(str(path)) as add:
            add(np.zeros(3, POSTING))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())
    with writing(str(path)) as add:
        add(np.zeros(3, POSTING))
    assert len(RowFile(str(path), POSTING)) == 3
