"""One channel, named on a command line."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import zarr

from bfly.butterfly import configuration
from bfly.discovery.one import did_you_mean
from bfly.errors import ConfigError, SourceError
from bfly.storage.files import Files
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def several(tmp_path: Path) -> Path:
    path = tmp_path / "lab" / "cremi.hdf"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file["volumes/raw"] = np.arange(60, dtype="u1").reshape(3, 4, 5)
        file["volumes/labels/ids"] = np.ones((3, 4, 5), "u8")
    return path


def listed(experiments: str) -> dict[str, str]:
    config = configuration(experiments)
    ((*above, _), *_) = config.channels
    assert above == ["root", "lab", "lab"]
    return {channel.name: channel.path for channel in config.channels.values()}


def test_a_file_is_served_with_all_its_volumes_or_a_part(several: Path) -> None:
    parts = {
        f"cremi.hdf-volumes-{name.replace('/', '-')}": f"{several}#volumes/{name}"
        for name in ("raw", "labels/ids")
    }
    assert set(listed(str(several)).values()) <= {str(several), *parts.values()}
    assert len(listed(str(several))) == 2
    assert listed(parts["cremi.hdf-volumes-raw"]) == {
        "cremi.hdf-volumes-raw": parts["cremi.hdf-volumes-raw"]
    }


def test_a_url_is_served_and_allowed(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zarr.create_array(
        store=str(several.parent / "img.zarr"), data=np.full((3, 4, 5), 7, "u1"), zarr_format=2
    )
    monkeypatch.chdir(several.parent)
    handler = partial(SimpleHTTPRequestHandler, directory=str(several.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/img.zarr"
        config = configuration(url)
        (channel,) = config.channels.values()
        assert (channel.name, channel.path) == ("img.zarr", url)
        assert config.allowed_paths == ("/", url)
        volume = Volume.open(ChannelSpec(url), Files(config.allowed_paths))
        assert volume.level(0).whole.shape == (3, 4, 5)
        with pytest.raises(ConfigError, match="no channel of a supported format at http"):
            configuration(url.replace("img", "other"))
        server.shutdown()
    with pytest.raises(SourceError, match="cannot be read"):
        configuration(url)


def test_what_is_no_channel_is_said(tmp_path: Path, several: Path) -> None:
    (tmp_path / "noise").write_bytes(bytes(200))
    with pytest.raises(ConfigError, match="is neither a YAML file nor one of the formats"):
        configuration(str(tmp_path / "noise"))
    (tmp_path / "cells.czi").write_bytes(bytes(200))
    with pytest.raises(ConfigError, match=r"is an image of ZEISS ZEN\. Convert it to OME-Zarr"):
        configuration(str(tmp_path / "cells.czi"))
    with pytest.raises(ConfigError, match=r"Did you mean .*cremi\.hdf\?"):
        configuration(str(several)[:-1])


def test_names_that_resemble_one(tmp_path: Path) -> None:
    for name in ("section-1", "section-2", "other"):
        (tmp_path / name).touch()
    near = did_you_mean(str(tmp_path / "sektion-1"))
    assert near == f" Did you mean {tmp_path}/section-1 or {tmp_path}/section-2?"
    assert did_you_mean(str(tmp_path / "xyz")) == did_you_mean("/no/folder/x") == ""
