"""The documentation against the code: what is documented exists, and what exists is documented."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import httpx
import imagecodecs
import numpy as np
import pytest
import yaml

from bfly import registry
from bfly.cli import COMMANDS, main
from bfly.config.config import Config
from bfly.config.settings import DEFAULT_DATABASE
from bfly.config.stores import KeptPyramid
from bfly.config.tree import Channel, Dataset, Experiment, Model, Sample
from bfly.encoders.views import VIEWS
from bfly.protocols.api import METHODS
from bfly.queries.data import DataQuery
from bfly.server.application import STATUSES
from bfly.testing.tissue import make_tissue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
TUTORIAL = DOCS / "tutorial.md"
APART = {TUTORIAL, DOCS / "annotations.md", DOCS / "proofreading.md"}
"""Pages that serve a volume of their own, and have tests of their own."""


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n", page.read_text(), re.M)
    assert found, f"{page.name} has no heading {heading}"
    rest = page.read_text()[found.end() :]
    return re.split(rf"^#{{1,{len(found[1])}}} ", rest, maxsplit=1, flags=re.M)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the first table without its header."""
    table = re.search(r"(?:^\|.*\n)+", text, re.M)
    assert table, "there is no table"
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def first_words(page: Path, heading: str) -> list[str]:
    """Return all words in backticks of a table's first column."""
    return [word for row in rows(section(page, heading)) for word in words(row[0])]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def run(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# Configuration


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("The server", Config),
        ("An experiment", Experiment),
        ("A sample", Sample),
        ("A dataset", Dataset),
        ("A channel", Channel),
        ("Kept mips", KeptPyramid),
    ],
)
def test_every_key_is_documented_with_its_default(heading: str, model: type[Any]) -> None:
    table = rows(section(DOCS / "configuration.md", heading))
    documented = {words(key)[0]: yaml.safe_load(text.strip("`")) for key, text, _ in table}
    stated = {}
    for name, field in model.model_fields.items():
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        if isinstance(default, Model):
            default = default.model_dump(exclude_defaults=True)
        stated[field.alias or name] = "needed" if field.is_required() else default
    assert documented == stated


def test_databases_are_documented() -> None:
    text = section(DOCS / "configuration.md", "The server").partition("Databases that")[2]
    documented = {words(name)[0]: what for name, what in rows(text)}
    assert set(documented) == set(registry.DATABASES)
    assert [name for name, what in documented.items() if "default" in what] == [DEFAULT_DATABASE]


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "configuration.md"])
def test_example_configurations_are_right(page: Path, tmp_path: Path) -> None:
    examples = blocks(page.read_text(), "yaml")
    assert examples
    for number, text in enumerate(examples):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        assert Config.load(str(file)).channels


# The command


@pytest.fixture
def arguments(capsys: pytest.CaptureFixture[str]) -> list[set[str]]:
    """The arguments of ``bfly`` and of each command below it, as their help states them."""
    found = []
    for command in ([], *([name] for name in COMMANDS)):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        said = capsys.readouterr().out
        flags = re.findall(r"(?<![\w-])--?[a-z][a-z-]*|(?<=^  )[A-Z]+\b", said, re.M)
        found.append({"port", *flags})
    return found


def test_every_argument_is_documented(arguments: list[set[str]]) -> None:
    documented = first_words(DOCS / "command.md", "The command")
    assert sorted(documented) == sorted(set.union(*arguments))


def test_the_usage_is_right(arguments: list[set[str]]) -> None:
    usage = blocks((DOCS / "command.md").read_text(), "text")[0].splitlines()
    for line, allowed in zip(usage, arguments, strict=True):
        assert set(re.findall(r"--?[a-z-]+", line)) <= allowed


def test_every_check_of_the_doctor_is_documented() -> None:
    package = [path.read_text() for path in (ROOT / "bfly" / "doctor").glob("*.py")]
    command = (ROOT / "bfly" / "commands" / "doctor.py").read_text()
    checks = set(re.findall(r'Finding\(\s*"([a-z-]+)"', "".join([*package, command])))
    assert sorted(first_words(DOCS / "doctor.md", "The doctor")) == sorted(checks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.M)) - targets == set()


# Formats and HTTP


def test_every_source_is_documented() -> None:
    assert set(first_words(DOCS / "formats.md", "Formats")) == set(registry.SOURCES)
    headings = re.findall(r"^##+ .*: `(\w+)`$", (DOCS / "formats.md").read_text(), re.M)
    assert set(headings) == set(registry.SOURCES)


def suite_file(name: str) -> Path:
    """Return the tests of a source: those of its module, or of its folder."""
    folder = ROOT / "tests" / "sources"
    module = folder / f"test_{name}.py"
    return module if module.exists() else folder / name / "test_source.py"


def test_every_suite_of_a_source_is_documented() -> None:
    documented = {
        words(name)[0]: words(suites)
        for name, suites, *_ in rows(section(DOCS / "formats.md", "How each is checked"))
    }
    suites = {
        name: re.findall(r"^class (Test\w+)\(\w*Suite\)", suite_file(name).read_text(), re.M)
        for name in registry.SOURCES
    }
    assert documented == suites


def test_the_readme_lists_every_format_and_protocol() -> None:
    text = section(ROOT / "README.md", "Formats and protocols")
    formats, protocols = re.findall(r"^- \*\*\w+:\*\* (.*(?:\n  .*)*)", text, re.M)
    assert sorted(words(formats)) == sorted(registry.SOURCES)
    serving = {
        *("api", "bossdb", "dvid", "graphene", "knossos", "n5", "ndstore", "precomputed", "tiles"),
        *("zarr", "zarr3"),
    }
    prefixes = {
        f"/{prefix}"
        for name in serving
        for prefix in registry.load("protocols", name).prefixes
        if "/" not in prefix
    }
    assert sorted(words(protocols)) == sorted(prefixes)


def test_every_encoder_and_view_is_documented() -> None:
    page = DOCS / "http.md"
    assert sorted(first_words(page, "Formats of cutouts")) == sorted(registry.ENCODERS)
    assert sorted(first_words(page, "Views")) == sorted(VIEWS)


def test_every_rest_parameter_is_documented_with_its_default() -> None:
    documented = {
        word: default
        for names, default, _ in rows(section(DOCS / "http.md", "Cutouts"))
        for word in words(names)
    }
    method = METHODS["data"]
    stated = dict.fromkeys(method.needed, "needed")
    stated |= {name: f"`{getattr(DataQuery, name)}`" for name in method.optional}
    stated["state"] = "the latest"
    assert documented == stated


def test_every_rest_method_is_documented() -> None:
    text = section(DOCS / "http.md", "REST: `/api`")
    assert set(re.findall(r"`/api/(\w+)", text)) == set(METHODS)


def test_every_status_is_documented() -> None:
    documented = {int(row[0]) for row in rows(section(DOCS / "http.md", "Errors"))}
    assert documented == {*STATUSES.values(), 405, 500}


# Examples, on a smaller volume of the demo's names


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Any]
) -> Iterator[httpx.Client]:
    folder = make_tissue(str(tmp_path_factory.mktemp("docs") / "bfly-demo"), (56, 224, 224))
    names = ("em.h5", "segmentation.h5", "supervoxels.h5")
    channels = [{"name": name, "path": f"{folder}/{name}"} for name in names]
    dataset = {"name": "bfly-demo", "path": folder, "channels": channels}
    sample = {"name": "bfly-demo", "datasets": [dataset]}
    tree = {"experiments": [{"name": "root", "samples": [sample]}]}
    with serve(Config.parse({"bfly": tree}, "docs.yaml")) as client:
        yield client


DOCUMENTS = {"pre": "/info", "zarr3": "/zarr.json", "n5": "/attributes.json"}
"""The metadata file of a folder that a client opens, by protocol."""

ROOT_ADDRESS = "http://localhost:2001"
"""The server's address in the pages."""


def addresses(page: Path) -> set[str]:
    """Return the addresses of the server that a page names, without its host and port."""
    return set(re.findall(rf"{ROOT_ADDRESS}([^\"\s>]*)", page.read_text()))


def check_address(client: httpx.Client, address: str) -> None:
    path = address.rstrip("/")
    if path.startswith(("/pre/", "/zarr3/", "/n5/")):
        path += DOCUMENTS[path.split("/")[1]]
    answer = client.get(path or "/")
    assert answer.status_code == 200 or address == "/api/data", (address, answer.text)


def test_every_address_answers(demo: httpx.Client) -> None:
    found = set.union(*(addresses(page) for page in PAGES if page not in APART))
    assert len(found) > 4
    for address in found:
        check_address(demo, address)


CLIENTS = sorted(
    {
        code
        for page in PAGES
        if page not in APART
        for code in blocks(page.read_text(), "python")
        if ROOT_ADDRESS in code
    }
)


@pytest.mark.parametrize("code", CLIENTS, ids=lambda code: code.split()[1])
def test_client_examples_run(code: str, demo: httpx.Client, tmp_path: Path) -> None:
    address = str(demo.base_url).rstrip("/")
    run(tmp_path, "-c", code.replace(ROOT_ADDRESS, address))


def test_python_page_runs(tmp_path: Path) -> None:
    code = "\n".join(blocks((DOCS / "python.md").read_text(), "python"))
    assert "find_tiles" in code
    run(tmp_path, "-W", "error", "-c", code)


# The tutorial, block by block, on a smaller volume

SERVER = re.compile(r"\.venv/bin/bfly (\S+)\n")
"""A shell block that starts a server, and what it serves."""


def tutorial_steps() -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each block of the tutorial, in order."""
    yield from re.findall(r"^```(\w+)\n(.*?)^```", TUTORIAL.read_text(), re.M | re.S)


def shell(folder: Path, code: str) -> str:
    """Run a shell block with the environment of the tests; return what it printed."""
    code = code.replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-euc", code.replace(".venv/bin/bfly", f"{sys.executable} -m bfly")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def saved_as(code: str) -> str:
    """Return the file name that the tutorial gives to a block, in the sentence before it."""
    before = TUTORIAL.read_text().partition(code)[0]
    return re.findall(r"Save this (?:program|file) as `([^`]+)`", before)[-1]


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_tutorial_runs(tmp_path: Path, command: Callable[..., AbstractContextManager[str]]) -> None:
    make_tissue(str(tmp_path / "bfly-demo"), (48, 128, 224))
    steps = list(tutorial_steps())
    starts = [n for n, (_, code) in enumerate(steps) if SERVER.fullmatch(code)]
    assert len(starts) == 2
    said = run_steps(tmp_path, steps[: starts[0]], "")
    assert "047.png" in said
    for begin, end in zip(starts, [*starts[1:], len(steps)], strict=True):
        served = SERVER.fullmatch(steps[begin][1])
        assert served
        with command("-e", served[1], "0", cwd=tmp_path) as address:
            said = run_steps(tmp_path, steps[begin + 1 : end], address.rstrip("/"))
            if begin == starts[0]:
                assert "(200, 100, 8) uint8\n" in said
            else:
                assert '"voxel-size-source":"config"' in said.replace(" ", "")
                with httpx.Client(base_url=address, timeout=60) as client:
                    for path in addresses(TUTORIAL):
                        check_address(client, path)
    with h5py.File(tmp_path / "bfly-demo/em.h5") as file:
        expected = file["main"][40, 20:120, 10:210]
    assert np.array_equal(imagecodecs.imread(str(tmp_path / "cutout.png")), expected)
    assert imagecodecs.imread(str(tmp_path / "labels.png")).shape[:2] == (100, 200)


def run_steps(folder: Path, steps: list[tuple[str, str]], address: str) -> str:
    """Run shell blocks and save the other ones; return what the shell blocks printed."""
    said = ""
    for language, code in steps:
        text = code.replace(ROOT_ADDRESS, address)
        if language == "sh":
            said += shell(folder, text)
        else:
            (folder / saved_as(code)).write_text(text)
    return said


# The plug-ins that CONTRIBUTING.md shows


def example(kind: str) -> list[str]:
    return blocks(section(ROOT / "CONTRIBUTING.md", f"Add {kind}"), "python")


def loaded(code: str, name: str) -> Any:
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return namespace[name]


@pytest.mark.parametrize(("kind", "module"), [("a source", "metaimage"), ("an encoder", "pnm")])
def test_example_plug_ins_pass_their_suites(kind: str, module: str, tmp_path: Path) -> None:
    plug_in, test = example(kind)
    (tmp_path / f"{module}.py").write_text(plug_in)
    (tmp_path / f"test_{module}.py").write_text(test)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    run(tmp_path, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider")


def test_example_protocol_reads_a_url(make_tree: Callable[..., Config]) -> None:
    (code,) = example("a protocol")
    section = loaded(code, "Section")(make_tree({"name": "em", "path": "/em.h5"}))
    query = section.query("exp/sam/dat/em/2/7/1/3", {})
    assert (query.path, query.resolution) == ("/em.h5", 2)
    assert (query.box.start, query.box.shape) == ((7, 256, 768), (1, 256, 256))


LONGEST = 60
"""Lines of an example of the documented contracts."""


@contextmanager
def plugged(
    folder: Path,
    command: Callable[..., AbstractContextManager[str]],
    kind: str,
    name: str,
    plug_in: str,
    channel: str,
    **settings: str,
) -> Iterator[httpx.Client]:
    """Serve a channel with an example as a plug-in, which a package of its own registers."""
    (code,) = example(kind)
    assert code.count("\n") <= LONGEST
    (folder / "plug_in.py").write_text(code)
    package = folder / "plug_in-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1\n")
    group = "databases" if "db-type" in settings else "sources"
    (package / "entry_points.txt").write_text(f"[bfly.{group}]\n{name} = plug_in:{plug_in}\n")
    channels = [{"name": "seg", "path": str(folder / channel)}]
    dataset = {"name": "d", "path": str(folder), "channels": channels}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    (folder / "b.yaml").write_text(yaml.safe_dump({"bfly": {"experiments": tree, **settings}}))
    paths = os.pathsep.join([str(folder), str(ROOT)])
    with (
        command("-e", "b.yaml", "0", cwd=folder, PYTHONPATH=paths) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        yield client


AT = {"experiment": "e", "sample": "s", "dataset": "d"}


def test_example_documented_source_serves(
    command: Callable[..., AbstractContextManager[str]], tmp_path: Path
) -> None:
    volume = np.random.default_rng(0).integers(0, 9, (20, 100, 90)).astype(np.uint16)
    sizes = np.array(volume.shape, "<i4")
    (tmp_path / "v.sized").write_bytes(sizes.tobytes() + volume.tobytes())
    with plugged(tmp_path, command, "a documented source", "sized", "Sized", "v.sized") as client:
        words = {**AT, "channel": "seg"}
        box = {"z": 2, "y": 10, "x": 30, "depth": 18, "height": 80, "width": 60, "format": "raw"}
        cutout = client.get("/api/data", params={**words, **box}).content
        assert cutout == volume[2:20, 10:90, 30:90].tobytes()
        about = client.get("/api/channel_metadata", params=words).json()
        assert about["source-type"] == "sized"
        assert about["dimensions"] == {"x": 90, "y": 100, "z": 20}
        assert client.get("/pre/e::s::d/seg/info").json()["data_type"] == "uint16"
        chunk = client.get("/pre/e::s::d/seg/0/0-64_0-64_0-16").content
        assert chunk[:2] == volume[0, 0, 0].tobytes()
        assert client.get("/browse/e::s::d/seg").json()["format"] == "sized"
        assert client.get("/browse/e::s::d/seg/thumbnail").status_code == 200


def test_example_database_serves(
    command: Callable[..., AbstractContextManager[str]], tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = np.arange(60, dtype="u4").reshape(3, 4, 5)
    synapses = {"neuron_1": [7, 9], "neuron_2": [9, 7]}
    synapses["synapse_center"] = {"z": [0, 2], "y": [1, 3], "x": [2, 4]}
    (tmp_path / "synapse-connections.json").write_text(json.dumps(synapses))
    settings = {"db-type": "JsonFile", "db-path": str(tmp_path / "links.json")}
    plug_in = "a database", "JsonFile", "JsonFile"
    with plugged(tmp_path, command, *plug_in, "seg.h5", **settings) as client:

        def fact(feature: str, **words: int) -> Any:
            words = {**AT, "feature": feature, **words}
            return client.get("/api/entity_feature", params=words).json()

        assert fact("all_neurons") == [7, 9]
        assert fact("is_neuron", id=9) is True
        assert fact("neuron_keypoint", id=7, resolution=1) == {"z": 2, "y": 1, "x": 2}
        rows = client.get("/api/synapses", params={**AT, "pre": 9}).json()
        assert rows == {"__id": 1, "n1": 9, "n2": 7, "z": 2, "y": 3, "x": 4}
        info = client.get("/pre/e::s::d/seg/synapses/info").json()
        assert info["upper_bound"] == [5, 4, 3]
        related = client.get("/pre/e::s::d/seg/synapses/pre/7").content
        assert int.from_bytes(related[:8], "little") == 1
        assert client.get("/browse/e::s::d").json() == {"neurons": 2, "synapses": 2}
    assert (tmp_path / "links.json").exists()


def test_the_house_is_whole() -> None:
    documented = {word.rstrip("/") for word in first_words(ROOT / "CONTRIBUTING.md", "The house")}
    files = {file.name for file in (ROOT / "bfly").glob("[a-z]*.py")}
    folders = {
        folder.name
        for folder in (ROOT / "bfly").glob("[a-z]*/")
        if (folder / "__init__.py").is_file()
    }
    assert documented == files | folders | {"CoreLayer"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "picture", sorted(ROOT.glob("docs/performance/*.svg")), ids=lambda path: path.name
)
def test_no_picture_says_where_it_was_made(picture: Path) -> None:
    assert not re.search(r"/docs/performance/|\.venv/", picture.read_text())
