import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly import registry
from bfly.config.config import Config, pick
from bfly.config.tree import Channel, Dataset, Experiment, Sample, check_name
from bfly.errors import BadRequest, ConfigError

FILE = "/etc/lab/bfly.yaml"


def parse(**keys):
    return Config.parse({"bfly": keys}, FILE)


def with_channel(**keys):
    dataset = {"name": "d", "path": "/d", "channels": [{"name": "c", "path": "/d/c", **keys}]}
    return parse(experiments=[{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}])


def mistakes(action, *args, **keys):
    with pytest.raises(ConfigError) as caught:
        action(*args, **keys)
    return str(caught.value).splitlines()


def tree(*channels):
    dataset = Dataset(name="d", path="/d", channels=channels)
    return (Experiment(name="e", samples=(Sample(name="s", datasets=(dataset,)),)),)


def test_the_defaults_are_those_of_the_table():
    assert parse().model_dump(by_alias=True) == {
        "port": 2001,
        "host": "127.0.0.1",
        "max-cache-size": 1024,
        "max-block-size": 1,
        "max-cutout-size": 512,
        "max-chunk-size": 1024,
        "pyramid": {"folder": None, "size": 10240},
        "allowed-paths": ("/",),
        "allowed-hosts": (),
        "allowed-origins": (),
        "developer-mode": False,
        "db-type": None,
        "db-path": None,
        "db-port": None,
        "db-update": False,
        "disk-cache": None,
        "edit-path": None,
        "log-path": "bfly.log",
        "log-level": "INFO",
        "experiments": (),
    }


def test_a_channel_keeps_all_that_is_said_of_it():
    config = with_channel(
        **{"voxel_offset": [-1, 2, 3], "dpath": "meta", "short-description": "", "kind": "image"},
        voxel_size=[40, 4, 4.5],
    )
    assert config.find("e", "s", "d", "c") == Channel(
        name="c",
        path="/d/c",
        voxel_offset=(-1, 2, 3),
        dpath="/etc/lab/meta",
        short_description="",
        kind="image",
        voxel_size=(40, 4, 4.5),
    )


def test_paths_are_seen_from_the_folder_of_the_file(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = parse(
        **{
            "allowed-paths": ["~/data", "here", "/there"],
            "edit-path": "../edits",
            "db-path": "db",
            "log-path": "logs/x",
        }
    )
    assert config.allowed_paths == ("/home/me/data", "/etc/lab/here", "/there")
    assert config.edit_path == "/etc/edits"
    assert config.db_path == "/etc/lab/db"
    assert config.log_path == "logs/x"
    assert parse(**{"log-path": "~/x"}).log_path == "/home/me/x"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("postgresql://me:p%40ss@db:5432/name", None),
        ("host=db dbname=name", None),
        ("host = db", None),
        ("/data/a=b.db", None),
        ("./a=b.db", "/etc/lab/a=b.db"),
        ("bfly.db", "/etc/lab/bfly.db"),
    ],
)
def test_an_address_of_a_database_is_left_alone(written, read):
    config = parse(**{"db-path": written})
    assert config.db_path == (read or written)
    assert Config.parse(config.dump(), "/elsewhere/bfly.yaml") == config


def test_a_mistake_keeps_passwords():
    for value in ("postgresql://me:p@h1dden@db/name", "host=db password='h1dden @'"):
        (line,) = mistakes(parse, **{"db-paht": value})
        assert value[:7] in line
        assert "h1dden" not in line


def test_other_roots_of_the_file_are_left_alone():
    assert Config.parse({"other": 1, "bfly": {"port": 1}}, FILE).port == 1


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("port", -1, "a whole number from 0 to 65535"),
        ("port", 65536, "a whole number from 0 to 65535"),
        ("port", "2001", "a whole number from 0 to 65535"),
        ("port", True, "a whole number from 0 to 65535"),
        ("db-port", 70000, "a whole number from 0 to 65535"),
        ("host", "", "the address to listen on"),
        ("max-cache-size", 0, "a whole number of MiB above 0"),
        ("max-block-size", -1, "a whole number of MiB above 0"),
        ("max-cutout-size", 0.5, "a whole number of MiB above 0"),
        ("allowed-paths", "/", "a list of folders and URLs"),
        ("developer-mode", "no", "yes or no"),
        ("db-update", 1, "yes or no"),
        ("db-type", "Mongo", f"one of {', '.join(registry.DATABASES)}"),
        ("edit-path", "", "a path, relative ones as seen from this file's folder"),
        ("db-path", "a\0b", "a path without NUL"),
        ("log-level", "LOUD", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("experiments", None, "a list of {name, samples}"),
        ("experiments", {"name": "x"}, "a list of {name, samples}"),
    ],
)
def test_a_wrong_setting_says_what_is_allowed(key, value, allowed):
    line = f"{FILE}: bfly.{key} is {value!r}; allowed is {allowed}."
    assert mistakes(parse, **{key: value}) == [line]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("offset", "abc", "offset is 'abc'; allowed is a list of three whole numbers, z y x."),
        ("offset", [1, 2.5, 3], "offset[1] is 2.5; allowed is a list of three whole numbers,"),
        ("offset", [1, 2], "offset[2] is missing; needed is a list of three whole numbers,"),
        ("offset", [1, 2, 3, 4], "offset is [1, 2, 3, 4]; allowed is a list of three whole"),
        ("voxel_offset", [1, 2], "voxel_offset[2] is missing; needed is a list of three whole"),
        ("voxel-offset", [1, 2, 3], "but there is no such key; did you mean voxel_offset?"),
        ("voxel_size", [4, 0, 4], "voxel_size[1] is 0; allowed is a list of three numbers above 0"),
        ("voxel_size", [4, 4, float("inf")], "voxel_size[2] is inf; allowed is"),
        ("voxel_size", [True, 4, 4], "voxel_size[0] is True; allowed is"),
        ("kind", "labels", "kind is 'labels'; allowed is image or segmentation."),
        ("path", 7, "path is 7; allowed is a path"),
        (
            "offest",
            [0, 0, 0],
            "offest is [0, 0, 0], but there is no such key; did you mean offset?",
        ),
        ("voxel-size", [1, 1, 1], "but there is no such key; did you mean voxel_size?"),
    ],
)
def test_a_wrong_channel_is_named_by_its_path(key, value, said):
    (line,) = mistakes(with_channel, **{key: value})
    where = f"{FILE}: bfly.experiments[0].samples[0].datasets[0].channels[0].{key}"
    assert line.startswith(where)
    assert said in line


def test_offset_is_the_documented_opposite_of_voxel_offset():
    config = with_channel(offset=[-1, 2, 3])
    assert config.find("e", "s", "d", "c").first_voxel == (1, -2, -3)
    assert "voxel of the file = voxel asked for + offset" in config.offset_note
    assert Config.parse(config.dump(), FILE) == config


@pytest.mark.parametrize("keys", [{}, {"voxel_offset": [1, 2, 3]}])
def test_nothing_is_said_without_offset(keys):
    assert with_channel(**keys).offset_note == ""


def test_a_channel_has_one_of_the_two_offsets():
    (line,) = mistakes(with_channel, offset=[0, 0, 0], voxel_offset=[0, 0, 0])
    assert "channels[0] is {" in line
    assert line.endswith("; allowed is either offset or voxel_offset.")


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "a::b", ":a", "a:", "\udcff", 12, None]
)
def test_a_name_that_cannot_be_part_of_an_address(name):
    (line,) = mistakes(with_channel, name=name)
    assert f"channels[0].name is {name!r}; allowed is text without '/' and '::'" in line


@pytest.mark.parametrize("name", ["a", "a:b", "a.h5", "...", "a b", "ä", "a\\b"])
def test_a_name_that_can(name):
    assert check_name(name) == name
    assert with_channel(name=name).find("e", "s", "d", name).name == name


def test_a_misspelt_key_shows_the_nearest_and_all():
    (line,) = mistakes(parse, prot=1)
    assert line.startswith(f"{FILE}: bfly.prot is 1, but there is no such key; did you mean port?")
    assert line.endswith("db-update, edit-path, log-path, log-level, experiments.")
    (line,) = mistakes(parse, zzz=1)
    assert "bfly.zzz is 1, but there is no such key. Allowed are port, host, " in line


def test_keys_of_a_file_have_hyphens():
    (line,) = mistakes(parse, max_cache_size=5)
    assert "did you mean max-cache-size?" in line


def test_a_key_that_is_no_text():
    (line,) = mistakes(Config.parse, {"bfly": {1: 2}}, FILE)
    assert line.startswith(f"{FILE}: bfly.1 is 1, but there is no such key.")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "bfly is missing at the root; there is nothing."),
        ({"butterfly": {}, 7: 1}, "bfly is missing at the root; there is butterfly, 7."),
        ({"bfly": None}, "bfly is None; allowed is a mapping of keys."),
        ({"bfly": [1]}, "bfly is [1]; allowed is a mapping of keys."),
    ],
)
def test_the_root_has_to_be_there(data, said):
    assert mistakes(Config.parse, data, FILE) == [f"{FILE}: {said}"]


def test_all_mistakes_come_at_once(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(
        """
bfly:
  port: 1
  port: 70000
  experiments:
  - name: e
    samples:
    - name: s
      datasets:
      - {name: d, path: /d}
      - name: d
        channels:
        - {name: em, path: /em}
        - {name: em, path: /em, kind: 3}
        - {name: em, pth: /em}
        - 17
  - name: e
"""
    )
    first = "bfly.experiments[0].samples[0].datasets"
    expected = [
        "bfly.port is there again in line 4",
        "bfly.port is 70000; allowed is",
        "bfly.experiments[1].name is 'e', which is the name of [0] too; allowed are names",
        f"{first}[1].name is 'd', which is the name of [0] too",
        f"{first}[1].path is missing; needed is a path",
        f"{first}[1].channels[1].name is 'em', which is the name of [0] too",
        f"{first}[1].channels[2].name is 'em', which is the name of [0] too",
        f"{first}[1].channels[1].kind is 3; allowed is image or segmentation.",
        f"{first}[1].channels[2].path is missing",
        f"{first}[1].channels[2].pth is '/em', but there is no such key; did you mean path?",
        f"{first}[1].channels[3] is 17; allowed is a list of {{name, path, …}}.",
    ]
    lines = mistakes(Config.load, str(file))
    assert len(lines) == len(expected)
    for start in expected:
        assert sum(line.startswith(f"{file}: {start}") for line in lines) == 1, start


def test_a_mistake_below_the_disk_cache():
    (line,) = mistakes(parse, **{"disk-cache": {"folder": "/x", "sise": 1}})
    assert "bfly.disk-cache.sise is 1, but there is no such key; did you mean size?" in line


def test_a_database_of_the_first_butterfly_leads_to_those_of_today():
    (line,) = mistakes(parse, **{"db-type": "Mongodb"})
    for word in (*registry.DATABASES, "db-path", "JSON files", "loaded again"):
        assert word in line


@pytest.fixture
def nested(tmp_path):
    """Folders, and in each of some a file that other folders do not have."""
    (tmp_path / "data").mkdir()
    for name in ("data/inner.json", "outer.json", "data/both.json", "both.json"):
        (tmp_path / name).write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("named", "read"),
    [
        ("inner.json", "data/inner.json"),
        ("outer.json", "outer.json"),
        ("both.json", "data/both.json"),
        ("neither.json", "data/neither.json"),
        ("{folder}/outer.json", "outer.json"),
    ],
)
def test_metadata_files_are_in_the_folder_of_the_dataset(nested, named, read):
    files = {key: named.format(folder=nested) for key in ("synapse-connections", "neuron-soma")}
    dataset = {"name": "d", "path": "data", **files}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    config = Config.parse({"bfly": {"experiments": tree}}, str(nested / "bfly.yaml"))
    checked = config.dataset("e", "s", "d")
    assert checked.synapse_connections == checked.neuron_soma == str(nested / read)


def test_a_long_value_is_cut():
    (line,) = mistakes(parse, port="9" * 1000)
    assert "bfly.port is '9999" in line
    assert "...; allowed is a whole number" in line
    assert len(line) < 200


def test_siblings_differ_however_they_are_made():
    with pytest.raises(ValueError, match="repeated"):
        Sample(name="s", datasets=(Dataset(name="d", path="/1"), Dataset(name="d", path="/2")))


def test_names_lead_to_a_channel_or_to_the_names_that_are_there():
    em, seg = Channel(name="em", path="/em"), Channel(name="seg", path="/seg")
    config = Config(experiments=tree(em, seg))
    assert config.find("e", "s", "d", "seg") is seg
    assert config.dataset("e", "s", "d") is config.experiments[0].samples[0].datasets[0]
    for names, said in [
        (("e", "s", "d", "foo"), "The channel foo is not in ['em', 'seg']."),
        (("e", "s", "x", "em"), "The dataset x is not in ['d']."),
        (("e", "x", "d", "em"), "The sample x is not in ['s']."),
        (("x", "s", "d", "em"), "The experiment x is not in ['e']."),
    ]:
        with pytest.raises(BadRequest) as caught:
            config.find(*names)
        assert str(caught.value) == said
    with pytest.raises(BadRequest, match=r"The sample a is not in \[\]"):
        pick((), "sample", "a")


def test_replace_checks_and_looks_up_anew():
    config = Config(max_cache_size=5, experiments=tree(Channel(name="old", path="/c")))
    config.find("e", "s", "d", "old")
    new = config.replace(port=0, experiments=tree(Channel(name="new", path="/c")))
    assert (new.port, new.max_cache_size, config.port) == (0, 5, 2001)
    assert new.find("e", "s", "d", "new").path == "/c"
    with pytest.raises(BadRequest):
        new.find("e", "s", "d", "old")
    assert mistakes(config.replace, port=-1, max_cache_size=0) == [
        "bfly.port is -1; allowed is a whole number from 0 to 65535.",
        "bfly.max-cache-size is 0; allowed is a whole number of MiB above 0.",
    ]


def test_dump_leaves_the_defaults_out():
    config = Config(max_cutout_size=3, experiments=tree(Channel(name="c", path="/c")))
    channels = [{"name": "c", "path": "/c"}]
    datasets = [{"name": "d", "path": "/d", "channels": channels}]
    assert config.dump() == {
        "bfly": {
            "max-cutout-size": 3,
            "experiments": [{"name": "e", "samples": [{"name": "s", "datasets": datasets}]}],
        }
    }


def test_nothing_can_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Config().port = 1


def is_name(text):
    try:
        check_name(text)
    except ValueError:
        return False
    return True


unicode = st.characters(exclude_categories=["Cs"])
names = st.text(unicode, min_size=1, max_size=8).filter(is_name)
paths = st.text(unicode, min_size=1, max_size=8).filter(lambda text: "\0" not in text)
sizes = st.floats(1e-9, 1e9)
triples = st.tuples(*[st.integers(-(2**70), 2**70)] * 3)


def groups(items):
    return st.lists(items, max_size=3, unique_by=lambda item: item.name).map(tuple)


channels = st.builds(
    Channel,
    name=names,
    path=paths,
    voxel_offset=triples,
    dpath=st.none() | paths,
    short_description=st.none() | st.text(unicode, max_size=20),
    kind=st.sampled_from([None, "image", "segmentation"]),
    voxel_size=st.none() | st.tuples(sizes, sizes, sizes),
)
datasets = st.builds(
    Dataset,
    name=names,
    path=paths,
    channels=groups(channels),
    synapse_connections=st.none() | paths,
    neuron_soma=st.none() | paths,
)
samples = st.builds(Sample, name=names, datasets=groups(datasets))
configs = st.builds(
    Config,
    port=st.integers(0, 65535),
    host=st.text(unicode, min_size=1, max_size=8),
    max_cache_size=st.integers(1),
    allowed_paths=st.lists(paths, max_size=2).map(tuple),
    developer_mode=st.booleans(),
    db_type=st.sampled_from([None, "Nodb"]),
    log_path=paths,
    log_level=st.sampled_from(["DEBUG", "ERROR"]),
    experiments=groups(st.builds(Experiment, name=names, samples=groups(samples))),
)


@given(configs)
def test_what_is_saved_loads_to_the_same(config):
    assert Config.parse(config.dump(), FILE) == config
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "saved.yaml")
        config.save(path)
        assert Config.load(path) == config
