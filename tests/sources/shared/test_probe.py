"""Documents that a probe has read are not read again for what a scan asks next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bfly.errors import NotAllowed
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.shared.probe import probe, probed
from bfly.storage.files import Files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "info").write_text('{"size": 1}')
    return tmp_path / "a"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    read = KeyValueStore.read

    def counted(self: KeyValueStore, name: str) -> bytes | None:
        names.append(name)
        return read(self, name)

    monkeypatch.setattr(KeyValueStore, "read", counted)
    return names


def test_a_document_is_read_once_for_both(folder: Path, reads: list[str]) -> None:
    path = str(folder)
    assert probe(path)("info") == {"size": 1}
    read = probed(path, Files())
    assert (read("info"), read("other")) == ({"size": 1}, None)
    assert reads == ["info", "other"]


def test_a_probe_answers_once_and_for_its_path_only(folder: Path, reads: list[str]) -> None:
    path = str(folder)
    probe(path)("info")
    probed(path, Files())("info")
    (folder / "info").write_text(json.dumps({"size": 2}))
    assert probed(path, Files())("info") == {"size": 2}
    probe(path)
    assert probed(str(folder.parent), Files())("a/info") == {"size": 2}
    assert probed(path, Files())("info") == {"size": 2}


def test_without_a_probe_the_allowed_folders_count(folder: Path) -> None:
    with pytest.raises(NotAllowed):
        probed(str(folder), Files([str(folder.parent / "b")]))
