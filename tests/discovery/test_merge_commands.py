"""A merge table beside a segmentation is offered with the command that imports it."""

import json
import logging
import shlex

import h5py
import numpy as np
import pytest
import tensorstore as ts

from bfly.butterfly import Butterfly
from bfly.cli import main
from bfly.core.core import Core
from bfly.discovery.scan import scan
from bfly.protocols.protocol import channel_words
from bfly.queries.data import DataQuery
from bfly.storage.files import Files

RNG = np.random.default_rng(0)
LABELS = np.kron(RNG.integers(1, 9, (4, 5, 5)), np.ones((2, 8, 8))).astype("u8")
BODIES = np.array([0, 100, 100, 200, 200, 300, 300, 300, 400], "u8")
TABLE = np.stack([np.arange(1, 9, dtype="u8"), BODIES[1:]], 1)


def janelia(folder):
    with h5py.File(folder / "groundtruth.h5", "w") as file:
        file["stack"] = LABELS.astype("i4")
        file["transforms"] = TABLE
    return "groundtruth.h5", "#transforms"


def bigcat(folder):
    with h5py.File(folder / "sample.hdf", "w") as file:
        file["volumes/raw"] = RNG.integers(0, 256, LABELS.shape, "u1")
        file["volumes/labels/fragments"] = LABELS
        file["fragment_segment_lut"] = TABLE.T
    return "sample.hdf", "#fragment_segment_lut"


def archive(folder):
    np.savez(folder / "seg.npz", seg=LABELS, fragment_segment_lut=TABLE.T)
    return "seg.npz", "#fragment_segment_lut"


def n5(path, array):
    """Write an array, whose axes are in the order of N5."""
    spec = {"driver": "n5", "kvstore": {"driver": "file", "path": f"{path}/"}}
    made = ts.open(spec, create=True, dtype=array.dtype.name, shape=array.shape).result()
    made[...] = array


def paintera(folder):
    group = folder / "proj.n5" / "lab"
    n5(group / "data", LABELS.T)
    n5(group / "fragment-segment-assignment", TABLE)
    (group / "attributes.json").write_text(json.dumps({"painteraData": {"type": "label"}}))
    return "proj.n5/lab", "/fragment-segment-assignment"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    return path


def served(folder):
    """Return the voxels of the only segmentation of a folder."""
    butterfly = Butterfly(str(folder))
    core = Core(butterfly.database())
    found = []
    for channel in butterfly.config.channels.values():
        words = channel_words(channel)
        shape = dict(zip(("depth", "height", "width"), LABELS.shape, strict=True))
        query = DataQuery(**words, x=0, y=0, z=0, **shape, format="raw")
        volume = core.update_query(query)["volume"]
        if volume.kind == "segmentation":
            data = core.get_data(query)
            found.append(np.frombuffer(data, volume.dtype).reshape(LABELS.shape))
    (voxels,) = found
    return voxels


@pytest.mark.parametrize("write", [janelia, bigcat, archive, paintera])
def test_the_command_of_the_report_applies_the_table(folder, write, capsys):
    place, name = write(folder)
    ((table, command),) = scan(str(folder), Files()).merges
    assert table == f"{folder}/{place}{name}"
    np.testing.assert_array_equal(served(folder), LABELS)
    assert main(shlex.split(command)[1:]) == 0
    assert "8 rows were imported as 1 operations." in capsys.readouterr().err
    np.testing.assert_array_equal(served(folder), BODIES[LABELS.astype(int)])


def test_the_start_and_the_doctor_have_the_command(folder, caplog, capsys):
    janelia(folder)
    ((_, command),) = scan(str(folder), Files()).merges
    caplog.set_level(logging.INFO, "bfly")
    Butterfly(str(folder)).log_start()
    assert command in caplog.text
    assert command in " ".join(capsys.readouterr().err.split())
    main(["doctor", "-e", str(folder), "--json"])
    (channel,) = json.loads(capsys.readouterr().out)["channels"]
    (finding,) = [each for each in channel["findings"] if each["check"] == "merge-table"]
    assert finding["remedy"] == command
    assert not finding["is_error"]


def test_several_segmentations_are_listed(folder):
    with h5py.File(folder / "s.h5", "w") as file:
        file["a"], file["b"] = LABELS, LABELS
        file["transforms"] = TABLE
    ((_, command),) = scan(str(folder), Files()).merges
    assert f"-e {folder} CHANNEL '{folder}/s.h5#transforms'" in command
    assert command.endswith("(CHANNEL is one of s.h5, s.h5-b)")
    with h5py.File(folder / "s.h5", "a") as file:
        file.move("b", "fragments")
    ((_, command),) = scan(str(folder), Files()).merges
    assert f"-e {folder} s.h5-fragments " in command


def test_channels_of_one_name_are_told_apart(folder):
    for name in "ab":
        (folder / name).mkdir()
        janelia(folder / name)
    found = scan(str(folder), Files())
    assert [shlex.split(command)[5] for _, command in found.merges] == [
        "a/groundtruth.h5",
        "b/groundtruth.h5",
    ]


def test_other_datasets_are_no_merge_table(folder, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["transforms"] = TABLE
    with h5py.File(folder / "s.h5", "w") as file:
        file["stack"] = LABELS
        file["transforms"] = np.ones((4, 4))
        file["fragment_segment_lut"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "transforms")
    assert scan(str(folder), Files()).merges == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("groundtruth.h5#none", "has no dataset none; it has ['stack', 'transforms']"),
        ("seg.npz#none", "has no array none"),
        ("seg.npz#seg", "does not hold two columns"),
        ("nowhere.h5", "nowhere.h5 cannot be read"),
    ],
)
def test_a_table_that_is_not_there_is_named(folder, name, message, capsys):
    janelia(folder)
    archive(folder.parent)
    place = folder.parent if name.startswith("seg") else folder
    words = ["edits", "import", "-e", str(folder), "groundtruth.h5", f"{place}/{name}"]
    assert main(words) == 1
    assert message in " ".join(capsys.readouterr().err.split())
