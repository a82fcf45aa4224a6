"""A server as documented: from a command line, with the database of its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bfly import Butterfly
from bfly.databases.nodb import Nodb
from bfly.databases.sqlite import Sqlite
from bfly.server.arguments import to_argv

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text("bfly: {db-type: Nodb, port: 2005}\n")
    return str(path)


def test_the_class_has_the_default_database_and_an_instance_its_own(config: str) -> None:
    assert Butterfly._db_type is Sqlite
    butterfly = Butterfly(config)
    assert butterfly._db_type is Nodb
    assert isinstance(butterfly.update_db(), Nodb)


def test_a_command_line_is_served_at_once(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = []
    monkeypatch.setattr(Butterfly, "serve", lambda butterfly: served.append(butterfly.config.port))
    saved = tmp_path / "saved.yaml"
    Butterfly(["bfly", "2017", "-e", config, "-o", str(saved)])
    Butterfly(["bfly", "-e", config])
    Butterfly(config)
    assert served == [2017, 2005]
    assert "port: 2017" in saved.read_text()


def test_a_command_line_is_parsed(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    butterfly = Butterfly(config)
    assert butterfly.parse_argv(["bfly"]) == {"port": None, "exp": None, "out": None}
    argv = to_argv(2017, exp="data", o="out.yaml")
    assert argv == ["main", "2017", "--exp", "data", "-o", "out.yaml"]
    assert butterfly.parse_argv(argv) == {"port": 2017, "exp": "data", "out": "out.yaml"}
    for words in (["data", "2017"], ["2017", "data"], ["data", "-o", "x.yaml", "2017"]):
        parsed = butterfly.parse_argv(["bfly", *words])
        assert (parsed["port"], parsed["exp"]) == (2017, "data")
    for words, wrong in (
        (["data", "more"], "more is one too many beside data"),
        (["data", "-e", "more"], "data is one too many beside more"),
        (["1", "2"], "2 is one too many beside 1"),
        (["70000"], "70000 is not a port from 0 to 65535"),
    ):
        with pytest.raises(SystemExit):
            butterfly.parse_argv(["bfly", *words])
        assert wrong in capsys.readouterr().err
