"""What is mended in a configuration, and that nothing else of it changes."""

from copy import deepcopy

import pytest
from pydantic import ValidationError

from bfly.config.config import Config
from bfly.config.lenient import checked


def read(**keys):
    notes = []
    return checked(Config, keys, "/lab", notes), notes


def tree(dataset):
    return [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *((word, True) for word in ("y", "Yes", "TRUE", "on", "1", 1)),
        *((word, False) for word in ("n", "No", "false", "off", "0", 0)),
    ],
)
def test_words_for_yes_and_no(word, meant):
    config, (note,) = read(**{"db-update": word})
    assert config.db_update is meant
    assert note == f"bfly.db-update is {word!r}; it is read as {'yes' if meant else 'no'}."


@pytest.mark.parametrize(
    ("text", "number"), [("4", 4), ("4.5", 4.5), (".5", 0.5), ("1e3", 1000), ("4.", 4)]
)
def test_numbers_that_are_text(text, number):
    channel = {"name": "c", "path": "/c", "voxel_size": (text, 4, 4), "voxel_offset": ["-7", 2, 3]}
    config, notes = read(experiments=tree({"name": "d", "path": "/d", "channels": [channel]}))
    assert config.find("e", "s", "d", "c").voxel_size == (number, 4, 4)
    assert config.find("e", "s", "d", "c").first_voxel == (-7, 2, 3)
    assert len(notes) == 2
    assert channel["voxel_offset"] == ["-7", 2, 3]


@pytest.mark.parametrize("text", ["", "4 ", "4x", "1_0", "²", "nan", "inf", "9" * 21, "0x4", True])
def test_text_that_is_no_number(text):
    channel = {"name": "c", "path": "/c", "voxel_size": [text, 4, 4]}
    for keys in ({"port": text}, {"experiments": tree({**channel, "channels": [channel]})}):
        with pytest.raises(ValidationError):
            read(**keys)


def test_a_dataset_without_a_path_has_the_folder_of_its_channels():
    for paths, folder in (
        (["/d/a.h5"], "/d"),
        (["/d/x/a", "/d/y/b.h5"], "/d"),
        (["x/a.h5", "https://lab.org/b"], "/lab/x"),
        (["https://lab.org/b"], "/lab"),
        ([], "/lab"),
    ):
        channels = [{"name": str(n), "path": path} for n, path in enumerate(paths)]
        config, (note,) = read(experiments=tree({"name": "d", "channels": channels}))
        assert config.dataset("e", "s", "d").path == folder
        assert note.startswith("bfly.experiments[0].samples[0].datasets[0].path is missing; ")
        assert folder in note


def test_only_datasets_get_a_path():
    with pytest.raises(ValidationError, match="path"):
        read(experiments=tree({"name": "d", "path": "/d", "channels": [{"name": "c"}]}))


def test_what_is_given_does_not_change():
    shared = {"name": "c", "path": "/c", "pth": 1, "voxel_offset": ["1", 2, 3]}
    keys = {"prot": 1, "experiments": tree({"name": "d", "channels": [shared]})}
    keys["experiments"].append({**keys["experiments"][0], "name": "f"})
    before = deepcopy(keys)
    config, notes = read(**keys)
    assert keys == before
    assert len(notes) == 1 + 2 * 3
    assert config.find("f", "s", "d", "c") == config.find("e", "s", "d", "c")


def test_a_mended_value_is_checked_too():
    with pytest.raises(ValidationError) as caught:
        read(port="70000", prot=1)
    (error,) = caught.value.errors()
    assert (error["loc"], error["input"]) == (("port",), 70000)


def test_nothing_is_mended_unless_there_are_notes():
    with pytest.raises(ValidationError):
        checked(Config, {"port": "1"}, "/lab", None)
