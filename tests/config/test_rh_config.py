import pytest

from bfly.config import rh_config
from bfly.errors import ConfigError


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "shared.yaml"
    monkeypatch.setenv("RH_CONFIG_FILENAME", str(path))
    return path


def test_the_environment_names_the_file(file):
    assert rh_config.default_path() == str(file)


@pytest.mark.parametrize("unset", [None, ""])
def test_without_it_the_file_lies_at_home(monkeypatch, tmp_path, unset):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RH_CONFIG_FILENAME", raising=False)
    if unset is not None:
        monkeypatch.setenv("RH_CONFIG_FILENAME", unset)
    assert rh_config.default_path() == str(tmp_path / ".rh-config.yaml")


def test_config_is_the_whole_file_as_it_is_now(file):
    assert rh_config.config == {}
    file.write_text("bfly: {port: 1}\nother: [2]\n")
    assert rh_config.config == {"bfly": {"port": 1}, "other": [2]}
    file.write_text("bfly: {port: 3}\n")
    assert rh_config.config == {"bfly": {"port": 3}}


def test_there_is_nothing_else_in_the_module():
    with pytest.raises(AttributeError, match="confg"):
        _ = rh_config.confg


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("- a\n- b\n", "its root is a list"),
        ("text\n", "its root is a str"),
        ("bfly:\n  port: [1\n", "line 3, column 1: this is not YAML"),
        ("bfly: {? [a] : 1}\n", "line 1, column 10: this is not YAML"),
        ("bfly: 2001-99-99\n", "this is not YAML: month"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: this is not YAML"),
        ("bfly: \x00\n", "this is not YAML"),
    ],
)
def test_a_file_that_is_no_mapping(file, text, message):
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        _ = rh_config.config
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: it cannot be read: No such file"):
        rh_config.read(str(tmp_path / "nowhere.yaml"))


def test_every_repeated_key_is_named_with_its_line(file):
    file.write_text("a: 1\nb:\n  - c: 1\n    d: 2\n    c: 3\na: 4\n'a': 5\n")
    data, repeated = rh_config.read(str(file))
    assert data == {"a": 5, "b": [{"c": 3, "d": 2}]}
    assert repeated == [
        f"{file}: b[0].c is there again in line 5; allowed is each key once.",
        f"{file}: a is there again in line 6; allowed is each key once.",
        f"{file}: a is there again in line 7; allowed is each key once.",
    ]
    with pytest.raises(ConfigError, match="line 7"):
        _ = rh_config.config


def test_anchors_are_no_repetition(file):
    file.write_text("a: &x {k: 1}\nb: *x\nc: &loop [*loop]\n")
    data, repeated = rh_config.read(str(file))
    assert data["a"] is data["b"]
    assert repeated == []


def test_write_follows_a_link_and_leaves_nothing_else(tmp_path):
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("old: 1\n")
    link.symlink_to(real)
    rh_config.write(str(link), {"new": ["ä", 1.5, None]})
    assert link.is_symlink()
    assert rh_config.read(str(real)) == ({"new": ["ä", 1.5, None]}, [])
    assert sorted(tmp_path.iterdir()) == [link, real]


def test_what_cannot_be_written_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"no/x\.yaml: it cannot be written: No such file"):
        rh_config.write(str(tmp_path / "no" / "x.yaml"), {})


def test_the_file_is_loaded_with_its_path(tmp_path, monkeypatch):
    monkeypatch.delenv("RH_CONFIG_FILENAME", raising=False)
    other = tmp_path / "other.yaml"
    assert rh_config.load(str(other)) == (str(other), {})
    other.write_text("bfly: {port: 1}\n")
    assert rh_config.load(str(other)) == (str(other), {"bfly": {"port": 1}})
    monkeypatch.setenv("RH_CONFIG_FILENAME", str(tmp_path / "none.yaml"))
    assert rh_config.load(str(other)) == (str(tmp_path / "none.yaml"), {})
    assert rh_config.config_filename == str(tmp_path / "none.yaml")
