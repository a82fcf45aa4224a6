"""A bad file neither stops a folder from being served, nor a configuration from being read."""

from __future__ import annotations

import os

import numpy as np
import pytest

from bfly.butterfly import configuration
from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.discovery.walk import DEPTH, TIMES
from bfly.errors import ConfigError
from bfly.storage.files import Files

DEEP = b"[" * 200_000


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "good.npy", np.ones((2, 3, 4), "u1"))
    return tmp_path / "data"


def names(folder):
    return [channel[3] for channel in configuration(str(folder)).channels]


@pytest.mark.parametrize(
    "data",
    [DEEP, b'{"a":' * 200_000, b"9" * 10_000, b"1e999", b"\xff\xfe\xfd", b"\0" * 100, b'"\\ud800"'],
)
def test_documents_that_cannot_be_read(folder, data):
    (folder / "bad.json").write_bytes(data)
    for name in (".zarray", "info", ".zattrs", ".zgroup", "zarr.json", "attributes.json"):
        (folder / f"of {name}").mkdir()
        (folder / f"of {name}" / name).write_bytes(data)
    assert names(folder) == ["good.npy"]


def test_folders_that_are_named_like_files(folder):
    for name in ("a.h5", "a.json", "a.tif", "a.npy", "a.zip", "a.nii.gz"):
        (folder / name).mkdir()
    for name in (".zarray", "info", "zarr.json"):
        (folder / f"of {name}" / name).mkdir(parents=True)
    assert names(folder) == ["good.npy"]


def test_links_in_circles(folder):
    os.symlink("loop", folder / "loop")
    os.symlink("b.json", folder / "a.json")
    os.symlink("a.json", folder / "b.json")
    os.symlink(".", folder / "self")
    assert names(folder) == ["good.npy"]


def test_links_between_folders_are_followed_a_few_times(folder):
    for a in range(9):
        (folder / f"d{a}").mkdir()
    for a in range(9):
        for b in range(9):
            os.symlink(folder / f"d{b}", folder / f"d{a}" / f"to{b}")
    found = scan(str(folder), Files())
    assert [c.name for d in found.experiments[0].samples[0].datasets for c in d.channels] == [
        "good.npy"
    ]
    assert len(found.skipped) < 9 * 9 * 2 * TIMES


def test_folders_in_each_other(folder):
    inner = folder
    for _ in range(DEPTH + 20):
        inner = inner / "d"
        inner.mkdir()
    assert names(folder) == ["good.npy"]


def test_a_hundred_thousand_entries(folder):
    for number in range(100_000):
        os.symlink("nowhere", folder / f"{number}.txt")
    assert names(folder) == ["good.npy"]


LINES = "".join(f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
MERGES = "".join(f"x{i}: &m{i}\n  <<: [{', '.join([f'*m{i - 1}'] * 10)}]\n" for i in range(1, 12))
EXPERIMENTS = "".join(
    f"  - &e{i} {{name: n, samples: [{', '.join([f'*e{i - 1}'] * 10)}]}}\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    "text",
    [
        f"bfly:\n  a0: &a0 [x]\n{LINES}",
        f"bfly:\n  experiments:\n  - &e0 {{name: n}}\n{EXPERIMENTS}",
        f"x0: &m0 {{a: 1}}\n{MERGES}bfly: {{}}\n",
    ],
)
def test_aliases_of_aliases_are_counted(tmp_path, text):
    path = tmp_path / "bfly.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="aliases stand for more than 1000000 values"):
        Config.load(str(path))


@pytest.mark.parametrize("text", ["[" * 900 + "]" * 900, "[" * 200_000, "{experiments: [" * 400])
def test_values_in_each_other(tmp_path, text):
    path = tmp_path / "bfly.yaml"
    path.write_text(f"bfly: {text}")
    with pytest.raises(ConfigError, match=str(path)):
        Config.load(str(path))


def test_a_configuration_that_is_part_of_itself(tmp_path):
    path = tmp_path / "bfly.yaml"
    path.write_text("bfly: &a\n  experiments: &b [*b, *a]\n")
    with pytest.raises(ConfigError, match="experiments"):
        Config.load(str(path))


def test_a_long_configuration_is_not_read(tmp_path):
    path = tmp_path / "bfly.yaml"
    with path.open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(ConfigError, match=f"{3 << 30} bytes"):
        Config.load(str(path))
