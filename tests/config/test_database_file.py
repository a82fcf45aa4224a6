"""The place of the default database."""

import os

import pytest

from bfly.config.database_file import database_file


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A working folder, a folder with a configuration, and the user's data folder."""
    for name in ("here", "lab", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path


def test_it_is_beside_the_configuration(places):
    config = str(places / "lab" / "bfly.yaml")
    assert database_file(config) == (str(places / "lab" / "bfly.db"), "beside the configuration")
    assert database_file("../lab/bfly.yaml")[0] == str(places / "lab" / "bfly.db")


def test_it_is_in_the_data_folder_if_a_folder_is_served(places):
    path, why = database_file(None)
    assert path == str(places / "home" / "bfly" / "bfly.db")
    assert why == "in the user's data folder"


def test_a_folder_that_cannot_be_written_to_is_left_alone(places, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(places / "lab"))
    config = str(places / "lab" / "bfly.yaml")
    assert database_file(config)[0] == str(places / "home" / "bfly" / "bfly.db")


def test_one_in_the_working_folder_is_taken(places):
    (places / "here" / "bfly.db").touch()
    for config in (None, str(places / "lab" / "bfly.yaml")):
        path, why = database_file(config)
        assert (path, why) == (str(places / "here" / "bfly.db"), "it was in the working folder")
