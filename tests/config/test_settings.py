"""The documented constants: settings of the shared file, and their defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bfly import UtilityLayer
from bfly.config import settings

if TYPE_CHECKING:
    from pathlib import Path

DEFAULTS = {
    "PORT": 2001,
    "DB_TYPE": "Sqlite",
    "DB_PATH": "bfly.db",
    "DB_PORT": None,
    "DB_UPDATE": False,
    "EDIT_PATH": "/",
    "LOG_PATH": "bfly.log",
    "LOG_LEVEL": "INFO",
    "MAX_CACHE_SIZE": 1 << 30,
    "MAX_BLOCK_SIZE": 1 << 20,
    "ALLOWED_PATHS": ["/"],
    "DEV_MODE": False,
    "BFLY_CONFIG": {},
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "rh.yaml"
    monkeypatch.setenv("RH_CONFIG_FILENAME", str(path))
    return path


def test_defaults_without_a_file(file: Path) -> None:
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS
    assert str(file) == settings.CONFIG_FILENAME
    with pytest.raises(AttributeError, match="NOTHING"):
        _ = settings.NOTHING


def test_the_file_is_read_when_a_constant_is_asked_for(file: Path) -> None:
    file.write_text(
        "bfly: {port: 2017, db-type: Nodb, db-update: 'Yes', max-cache-size: 2, "
        "allowed-paths: [/data], developer-mode: y}\n"
    )
    assert (settings.PORT, settings.DB_TYPE, settings.DB_PATH) == (2017, "Nodb", "")
    assert settings.DB_UPDATE is settings.DEV_MODE is True
    assert (settings.MAX_CACHE_SIZE, settings.ALLOWED_PATHS) == (2 << 20, ["/data"])
    assert settings.BFLY_CONFIG["port"] == 2017


def test_all_constants_are_names_of_the_layer(file: Path) -> None:
    for name in settings.SETTINGS:
        assert getattr(UtilityLayer, name) == getattr(settings, name)
    with pytest.raises(AttributeError, match="NOTHING"):
        _ = UtilityLayer.NOTHING


@pytest.mark.parametrize(("value", "yes"), [("Y", True), (1, True), (True, True), ("no", False)])
def test_words_for_yes(value: object, yes: bool) -> None:
    assert settings.is_yes(value) is yes
