"""Tables of synapses and neurons beside channels are found by their columns."""

import csv
import gzip
import logging
import time

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from bfly.butterfly import Butterfly
from bfly.discovery import found_tables
from bfly.discovery.scan import scan
from bfly.errors import ConfigError
from bfly.storage.files import Files

RNG = np.random.default_rng(0)
LABELS = np.kron(RNG.integers(1, 9, (4, 5, 5)), np.ones((2, 8, 8))).astype("u8")

SYNAPSES = {"id": [1, 2, 3], "pre": [7, 7, 8], "post": [8, 9, 9]}
POINTS = {"z": [1, 2, 3], "y": [10, 20, 30], "x": [5, 6, 7]}
PLAIN = {**SYNAPSES, **POINTS}
MICRONS = {
    "id": [1], "pre_root_id": [864691135000000001], "post_root_id": [864691135000000002],
    "ctr_pt_z_nm": [80.0], "ctr_pt_y_nm": [40.0], "ctr_pt_x_nm": [20.0],
}  # fmt: skip
NEURONS = {"pt_root_id": [7], "pt_position_z": [1], "pt_position_y": [2], "pt_position_x": [3]}


def segmentation(path, **attributes):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["main"] = LABELS
        file["main"].attrs.update(attributes)


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["main"] = RNG.integers(0, 256, (4, 40, 40), "u1")


def text(path, columns, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt") as file:
        rows = csv.writer(file, delimiter=delimiter)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))


def write(path, columns):
    if path.suffix in (".parquet", ".pq"):
        pa.parquet.write_table(pa.table(columns), path)
    elif path.suffix in (".feather", ".arrow"):
        pa.feather.write_feather(pa.table(columns), str(path))
    else:
        text(path, columns, "\t" if ".tsv" in path.name else ",")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data"
    segmentation(path / "seg.h5")
    image(path / "em.h5")
    return path


def datasets(folder, **options):
    found = scan(str(folder), Files(), **options)
    return {each.name: each for each in found.experiments[0].samples[0].datasets}


def offered(folder):
    return {path.rpartition("/")[2]: why for path, why in scan(str(folder), Files()).unread}


@pytest.mark.parametrize(
    "name", ["a.csv", "a.CSV.gz", "a.tsv", "a.tsv.gz", "a.parquet", "a.pq", "a.feather", "a.arrow"]
)
def test_a_table_is_of_the_only_segmentation_and_loaded(folder, name):
    write(folder / name, PLAIN)
    found = scan(str(folder), Files())
    assert found.tables == [(str(folder / name), "the synapses of seg.h5, in columns of plain")]
    assert found.unread == []
    assert datasets(folder)["data"].synapses.path == str(folder / name)
    butterfly = Butterfly(str(folder))
    database = butterfly.update_db()
    assert database.count("synapse", str(folder)) == 3
    database.close()


def test_neurons_and_synapses_are_told_apart(folder):
    write(folder / "rows.csv", PLAIN)
    write(folder / "cells.parquet", NEURONS)
    dataset = datasets(folder)["data"]
    assert dataset.synapses.path == str(folder / "rows.csv")
    assert dataset.neurons.path == str(folder / "cells.parquet")


def test_points_are_neurons_only_if_the_name_says_so(folder):
    write(folder / "points.csv", {"id": [1, 2, 3], **POINTS})
    found = scan(str(folder), Files())
    assert (found.tables, found.unread, found.others) == ([], [], 1)
    (folder / "points.csv").rename(folder / "neurons_v2.csv")
    assert datasets(folder)["data"].neurons.path == str(folder / "neurons_v2.csv")


@pytest.mark.parametrize("place", ["", "tables/", "deep/in/"])
def test_a_folder_of_tables_beside_channels(folder, place):
    path = folder / place / "synapses.csv"
    text(path, PLAIN)
    assert datasets(folder)["data"].synapses.path == str(path)


def test_a_table_above_datasets_is_of_the_one_with_the_segmentation(tmp_path):
    image(tmp_path / "data" / "a" / "em.h5")
    segmentation(tmp_path / "data" / "b" / "seg.h5")
    text(tmp_path / "data" / "synapses.csv", PLAIN)
    found = datasets(tmp_path / "data")
    assert found["a"].synapses is None
    assert found["b"].synapses.path == str(tmp_path / "data" / "synapses.csv")


def test_positions_in_nanometres_need_the_voxel_size(folder):
    write(folder / "s.csv", MICRONS)
    assert "seg.h5 states no voxel size: --voxel-size does" in offered(folder)["s.csv"]
    stated = datasets(folder, voxel_size=(40.0, 4.0, 4.0))["data"]
    assert stated.synapses.voxel_size == (40.0, 4.0, 4.0)
    segmentation(folder / "seg.h5", resolution=(30.0, 8.0, 8.0))
    assert datasets(folder)["data"].synapses.voxel_size == (30.0, 8.0, 8.0)
    database = Butterfly(str(folder)).update_db()
    assert database.count("synapse", str(folder)) == 1
    database.close()


def test_the_option_of_the_voxel_size_serves_it(folder):
    write(folder / "s.csv", MICRONS)
    butterfly = Butterfly(str(folder), voxel_size=(40.0, 4.0, 4.0))
    database = butterfly.update_db()
    assert database.count("synapse", str(folder)) == 1
    database.close()


def test_two_segmentations_leave_it_to_the_configuration(folder):
    segmentation(folder / "seg2.h5")
    write(folder / "s.csv", PLAIN)
    assert datasets(folder)["data"].synapses is None
    why = offered(folder)["s.csv"]
    assert why.startswith("a table of synapses: there are 2 segmentations beside it (seg.h5, seg2")
    assert f"write in its dataset: synapses: {{path: {folder}/s.csv}}" in why


def test_no_segmentation_leaves_it_to_the_configuration(folder):
    (folder / "seg.h5").unlink()
    write(folder / "s.csv", PLAIN)
    assert "there are no segmentations beside it, not one" in offered(folder)["s.csv"]


def test_two_tables_of_a_kind_leave_it_to_the_configuration(folder):
    write(folder / "a.csv", PLAIN)
    write(folder / "b.csv", PLAIN)
    assert datasets(folder)["data"].synapses is None
    assert [*offered(folder)] == ["a.csv", "b.csv"]
    assert "there are 2 tables of synapses" in offered(folder)["a.csv"]


def test_the_metadata_files_of_the_folder_come_first(folder):
    write(folder / "s.csv", PLAIN)
    (folder / "synapse-connections.json").write_text("{}")
    assert datasets(folder)["data"].synapses is None
    assert "synapse-connections.json is there as well" in offered(folder)["s.csv"]


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("a.csv", SYNAPSES, "a table of synapses: it has no column z, y, x. If it is to be"),
        ("synapses.csv", POINTS, "a table of synapses: it has no column pre, post. If it"),
        (
            "neurons.csv",
            {"cell": [1, 2, 3], **POINTS},
            "a table of neurons: it has no column id. If",
        ),
        (
            "s.csv",
            {name: each for name, each in MICRONS.items() if name != "ctr_pt_x_nm"},
            "a table of synapses: it has no column ctr_pt_x_nm. If",
        ),
    ],
)
def test_a_table_without_some_columns_is_named_with_them(folder, name, columns, message):
    write(folder / name, columns)
    assert offered(folder)[name].startswith(message)
    assert offered(folder)[name].endswith(", and the names of its columns")


def test_other_tables_are_passed_over(folder):
    write(folder / "measurements.csv", {"time": [1], "value": [2]})
    (folder / "binary.csv").write_bytes(b"\0" * 1000)
    (folder / "long.csv").write_bytes(b"a" * 1_000_000)
    (folder / "bad.parquet").write_bytes(b"PAR1" + b"\xff" * 100)
    found = scan(str(folder), Files())
    assert (found.tables, found.unread, found.others) == ([], [], 4)
    assert [str(kind) for kind in found.passed_over] == [
        "3 of .csv (binary.csv …)",
        "1 of .parquet (bad.parquet)",
    ]


def test_a_damaged_table_is_named_if_its_name_says_what_it_is(folder):
    (folder / "synapses.parquet").write_bytes(b"PAR1" + b"\xff" * 100)
    assert "synapses.parquet cannot be read" in offered(folder)["synapses.parquet"]


def test_only_the_first_lines_of_so_many_are_read(folder, monkeypatch):
    monkeypatch.setattr(found_tables, "LOOKED_AT", 20)
    read = []
    columns_in = found_tables.columns_in
    monkeypatch.setattr(
        found_tables, "columns_in", lambda path, files: read.append(path) or columns_in(path, files)
    )
    for number in range(50):
        text(folder / "many" / f"{number}.csv", {"time": [1]})
    text(folder / "many" / "synapses.csv", PLAIN)
    found = scan(str(folder), Files())
    assert (len(read), found.others) == (20, 50)
    assert [path for path, _ in found.tables] == [str(folder / "many" / "synapses.csv")]


def test_a_large_table_is_not_read_by_the_scan(folder):
    with open(folder / "big.csv", "wb") as file:
        file.write(b"id,pre,post,z,y,x\n")
        file.truncate(1 << 40)
    start = time.monotonic()
    assert datasets(folder)["data"].synapses.path == str(folder / "big.csv")
    assert time.monotonic() - start < 5


def test_a_link_out_of_the_allowed_folders_is_not_followed(folder, tmp_path):
    text(tmp_path / "secret.csv", PLAIN)
    (folder / "synapses.csv").symlink_to(tmp_path / "secret.csv")
    found = scan(str(folder), Files([str(folder)]))
    assert found.tables == []
    assert [reason for _, reason in found.skipped] == ["a link that leads outside allowed-paths"]


def test_the_log_names_the_table(folder, caplog):
    write(folder / "s.csv", PLAIN)
    caplog.set_level(logging.INFO, "bfly")
    Butterfly(str(folder)).log_start()
    assert f"Table {folder}/s.csv: the synapses of seg.h5, in columns of plain" in caplog.text


def test_a_saved_configuration_has_the_table(folder, tmp_path):
    write(folder / "s.csv", PLAIN)
    saved = str(tmp_path / "saved.yaml")
    butterfly = Butterfly(str(folder), saved)
    again = Butterfly(saved)
    assert list(again.config.channels) == list(butterfly.config.channels)
    (dataset,) = again.config.experiments[0].samples[0].datasets
    assert dataset.synapses.path == str(folder / "s.csv")


def test_a_folder_of_tables_alone_has_no_channel(tmp_path):
    text(tmp_path / "s.csv", PLAIN)
    with pytest.raises(ConfigError, match="no channel of a supported format"):
        Butterfly(str(tmp_path))
