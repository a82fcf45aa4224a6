"""Changes in a YAML file: one line, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import yaml

from bfly.config.config import Config
from bfly.config.config_file import is_writable, line_of, with_voxel_size, write_voxel_size
from bfly.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("mouse", "café", "block-1", "em")
SIZE = (40.0, 3.58, 4.0)

FILE = """\
# The whole laboratory, with ümlauts and 🦋.
other: {keep: [1, 2]}   # of another program
bfly:
  port: 2017
  experiments:
    - name: mouse
      samples:
        - name: café  # a sample
          datasets:
            - path: /data/block-1
              name: block-1
              channels:
                CHANNEL
                - {name: labels, path: labels.h5}
"""

CHANNELS = {
    "block": (
        "- name: em   # sections\n                  path: em\n                  kind: image",
        "- name: em   # sections\n                  voxel_size: [40, 3.58, 4]\n"
        "                  path: em\n                  kind: image",
    ),
    "flow": (
        "- {path: em, name: em}",
        "- {path: em, voxel_size: [40, 3.58, 4], name: em}",
    ),
    "list before": (
        "- name: em\n                  voxel_size: [1, 2, 3] # measured\n"
        "                  path: em",
        "- name: em\n                  voxel_size: [40, 3.58, 4] # measured\n"
        "                  path: em",
    ),
    "lines before": (
        "- name: em\n                  voxel_size:\n                  - 1\n"
        "                  - 2\n                  - 3  # nm\n                  path: em",
        "- name: em\n                  voxel_size: [40, 3.58, 4]  # nm\n                  path: em",
    ),
    "nothing before": (
        "- name: em\n                  voxel_size: null\n                  path: em",
        "- name: em\n                  voxel_size: [40, 3.58, 4]\n                  path: em",
    ),
}


@pytest.mark.parametrize("style", CHANNELS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_one_line_is_changed(tmp_path: Path, style: str, newline: str) -> None:
    path = tmp_path / "c.yaml"
    before, after = (FILE.replace("CHANNEL", text) for text in CHANNELS[style])
    path.write_bytes(before.replace("\n", newline).encode())
    os.chmod(path, 0o640)
    write_voxel_size(str(path), NAMES, SIZE)
    assert path.read_bytes().decode() == after.replace("\n", newline)
    assert path.stat().st_mode & 0o777 == 0o640
    assert Config.load(str(path)).find(*NAMES).voxel_size == SIZE
    assert os.listdir(tmp_path) == ["c.yaml"]


@pytest.mark.parametrize(
    "channel",
    [
        "- &em {name: em, path: em}\n                - {<<: *em, name: twin}",
        "- <<: {path: em}\n                  name: other",
        "- name: em",
    ],
)
def test_what_cannot_be_changed_is_left_alone(tmp_path: Path, channel: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(FILE.replace("CHANNEL", channel))
    with pytest.raises(ConfigError, match="is not written there in a way that can be changed"):
        write_voxel_size(str(path), NAMES, SIZE)
    assert path.read_text() == FILE.replace("CHANNEL", channel)


def test_a_changed_configuration(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(FILE.replace("CHANNEL", "- {name: em, path: em}"))
    before = Config.load(str(path))
    changed = with_voxel_size(before, NAMES, SIZE)
    assert before.find(*NAMES).voxel_size is None
    assert changed.find(*NAMES).voxel_size == SIZE
    write_voxel_size(str(path), NAMES, SIZE)
    assert Config.load(str(path)) == changed


def test_the_line_is_that_of_a_channel() -> None:
    assert yaml.safe_load(line_of((1e-3, 8, 1e6))) == {"voxel_size": [0.001, 8, 1e6]}


def test_a_file_that_cannot_be_replaced_is_not_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(FILE)
    (tmp_path / "link.yaml").symlink_to(path)
    assert is_writable(str(path))
    assert is_writable(str(tmp_path / "link.yaml"))
    for name in (None, str(tmp_path), str(tmp_path / "none.yaml")):
        assert not is_writable(name)
    monkeypatch.setattr(os, "access", lambda place, mode: place != os.path.realpath(tmp_path))
    assert not is_writable(str(path))
