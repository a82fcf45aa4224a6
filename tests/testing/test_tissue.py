import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from bfly.testing import tissue as module
from bfly.testing.tissue import make_tissue, tissue
from bfly.testing.tissue_tables import TABLES

SHAPE = (20, 70, 90)
FILES = ["em.h5", "segmentation.h5", "supervoxels.h5"]


@pytest.fixture(scope="module")
def volumes():
    return tissue(SHAPE, 3)


def read(folder, name):
    with h5py.File(os.path.join(folder, name)) as file:
        return file["main"][:]


def test_shapes_and_dtypes(volumes):
    assert [v.shape for v in volumes] == [SHAPE] * 3
    assert [v.dtype for v in volumes] == ["u1", "u8", "u8"]


def test_the_seed_decides(volumes):
    for first, again, other in zip(volumes, tissue(SHAPE, 3), tissue(SHAPE, 4), strict=True):
        np.testing.assert_array_equal(first, again)
        assert (first != other).mean() > 0.5


def test_a_segment_is_a_union_of_supervoxels(volumes):
    _, segmentation, supervoxels = volumes
    pairs = np.unique(np.stack([supervoxels.ravel(), segmentation.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == pairs.shape[1]
    assert len(np.unique(pairs[1])) < pairs.shape[1] * 0.8


def test_ids_do_not_all_fit_a_float64(volumes):
    _, segmentation, supervoxels = volumes
    assert 0 < (segmentation > 2**53).mean() < 1
    assert segmentation.min() > 0
    assert supervoxels.min() > 2**53


def test_membranes_are_dark_between_segments_but_not_between_supervoxels(volumes):
    em, segmentation, supervoxels = volumes

    def edge(labels):
        return labels[:, :, 1:] != labels[:, :, :-1]

    membrane = edge(segmentation)
    seam = edge(supervoxels) & ~membrane
    inside = ~edge(supervoxels)
    light = [em[:, :, 1:][where].mean() for where in (membrane, seam, inside)]
    assert light[0] < light[1] - 30
    assert light[0] < light[2] - 30


def test_slabs_meet_without_a_seam(monkeypatch, volumes):
    monkeypatch.setattr(module, "SLAB", SHAPE[0])
    whole, segmentation, _ = tissue(SHAPE, 3)
    np.testing.assert_array_equal(segmentation, volumes[1])
    # The first slab starts with the same noise, so only a seam could make a difference.
    np.testing.assert_array_equal(whole[:16], volumes[0][:16])


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 30), (65, 3, 2)])
def test_any_shape(shape, tmp_path):
    expected = tissue(shape, 1)
    folder = make_tissue(str(tmp_path), shape, 1)
    for name, volume in zip(FILES, expected, strict=True):
        np.testing.assert_array_equal(read(folder, name), volume)


def test_files(tmp_path, volumes):
    told = []
    folder = make_tissue(str(tmp_path / "new" / "tissue"), SHAPE, 3, told.append)
    assert sorted(os.listdir(folder)) == FILES
    for name, volume in zip(FILES, volumes, strict=True):
        np.testing.assert_array_equal(read(folder, name), volume)
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_complete_folder_is_used_again(tmp_path):
    folder = make_tissue(str(tmp_path), (2, 20, 20))
    before = [os.stat(tmp_path / name).st_ino for name in FILES]
    assert make_tissue(folder, (2, 20, 20)) == folder
    assert [os.stat(tmp_path / name).st_ino for name in FILES] == before


@pytest.mark.parametrize("name", FILES)
def test_what_is_damaged_or_missing_is_made_again(tmp_path, name):
    folder = make_tissue(str(tmp_path), (2, 20, 20))
    good = read(folder, name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:1000])
    make_tissue(folder, (2, 20, 20))
    np.testing.assert_array_equal(read(folder, name), good)
    (tmp_path / name).unlink()
    make_tissue(folder, (2, 20, 20))
    np.testing.assert_array_equal(read(folder, name), good)


def test_another_seed_or_shape_replaces_it(tmp_path):
    folder = make_tissue(str(tmp_path), (2, 20, 20), 0)
    first = read(folder, "em.h5")
    assert (read(make_tissue(folder, (2, 20, 20), 1), "em.h5") != first).any()
    assert read(make_tissue(folder, (3, 20, 20), 1), "em.h5").shape == (3, 20, 20)


def test_an_interrupted_run_leaves_no_half_file(tmp_path, monkeypatch):
    def fail(*args, **words):
        raise KeyboardInterrupt

    monkeypatch.setattr(h5py.File, "create_dataset", fail)
    with pytest.raises(KeyboardInterrupt):
        make_tissue(str(tmp_path), (2, 20, 20))
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = make_tissue(str(tmp_path_factory.mktemp("tissue")), (70, 130, 150), 3, tables=True)
    read_words = [json.loads((Path(folder) / name).read_text()) for name in TABLES]
    return read(folder, "segmentation.h5"), *read_words


def test_synapses_are_where_both_neurons_touch(tables):
    labels, synapses, _ = tables
    places = [synapses["synapse_center"][axis] for axis in "zyx"]
    rows = list(zip(synapses["neuron_1"], synapses["neuron_2"], *places, strict=True))
    assert len(rows) > 10
    for before, after, *place in rows:
        assert labels[tuple(place)] == before != after
        around = tuple(slice(max(at - 1, 0), at + 2) for at in place)
        assert (labels[around] == after).any()


def test_neurons_have_a_soma_and_branches(tables):
    labels, _, neurons = tables
    assert len({neuron["neuron_id"] for neuron in neurons}) == len(neurons) > 1
    sizes = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    shares = []
    for neuron in neurons:
        place = tuple(neuron[axis] for axis in "zyx")
        assert labels[place] == neuron["neuron_id"]
        ball = np.argwhere(labels == neuron["neuron_id"]) - place
        shares.append((np.square(ball).sum(axis=1) < 35**2).sum() / sizes[labels[place]])
    # Much of a neuron is away from its soma, and it is larger than a piece of an axon.
    assert np.median(shares) < 0.8
    assert np.median([sizes[one["neuron_id"]] for one in neurons]) > 3 * np.median(
        list(sizes.values())
    )


def test_tables_are_made_where_they_are_missing(tmp_path):
    folder = make_tissue(str(tmp_path), (2, 20, 20))
    assert not any((tmp_path / name).exists() for name in TABLES)
    make_tissue(folder, (2, 20, 20), tables=True)
    before = [(tmp_path / name).stat().st_ino for name in TABLES]
    make_tissue(folder, (2, 20, 20), tables=True)
    assert [(tmp_path / name).stat().st_ino for name in TABLES] == before
