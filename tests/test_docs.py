"""The documentation against the code: what is documented exists, and what exists is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bfly import registry
from bfly.butterfly import DEFAULT_DATABASE, runtime_of
from bfly.cli import COMMANDS, main
from bfly.config.config import Config
from bfly.config.tree import Channel, Dataset, Experiment, KeptPyramid, Model, Sample
from bfly.encoders.views import VIEWS
from bfly.protocols.api import METHODS
from bfly.queries.data import DataQuery
from bfly.server.application import STATUSES
from bfly.testing.tissue import make_tissue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n", page.read_text(), re.M)
    assert found, f"{page.name} has no heading {heading}"
    rest = page.read_text()[found.end() :]
    return re.split(rf"^#{{1,{len(found[1])}}} ", rest, maxsplit=1, flags=re.M)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the first table, its head left out."""
    table = re.search(r"(?:^\|.*\n)+", text, re.M)
    assert table, "there is no table"
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def first_words(page: Path, heading: str) -> list[str]:
    """Return all the words in backticks of a table's first column."""
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


def test_every_suite_of_a_source_is_documented() -> None:
    documented = {
        words(name)[0]: words(suites)
        for name, suites, *_ in rows(section(DOCS / "formats.md", "How each is checked"))
    }
    folder = ROOT / "tests" / "sources"
    suites = {
        name: re.findall(
            r"^class (Test\w+)\(\w*Suite\)", (folder / f"test_{name}.py").read_text(), re.M
        )
        for name in registry.SOURCES
    }
    assert documented == suites


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
"""What stands in the folder that a client is told to open."""


def test_every_address_answers(demo: httpx.Client) -> None:
    found = {
        address
        for page in PAGES
        for address in re.findall(r"http://localhost:2001([^\"\s>]*)", page.read_text())
    }
    assert len(found) > 4
    for address in found:
        path = address.rstrip("/")
        if path.endswith((".h5", "/s0")):
            path += DOCUMENTS[path.split("/")[1]]
        answer = demo.get(path or "/")
        assert answer.status_code == 200 or address == "/api/data", (address, answer.text)


CLIENTS = sorted(
    {
        code
        for page in PAGES
        for code in blocks(page.read_text(), "python")
        if "http://localhost:2001" in code
    }
)


@pytest.mark.parametrize("code", CLIENTS, ids=lambda code: code.split()[1])
def test_client_examples_run(code: str, demo: httpx.Client, tmp_path: Path) -> None:
    address = str(demo.base_url).rstrip("/")
    run(tmp_path, "-c", code.replace("http://localhost:2001", address))


def test_python_page_runs(tmp_path: Path) -> None:
    code = "\n".join(blocks((DOCS / "python.md").read_text(), "python"))
    assert "find_tiles" in code
    run(tmp_path, "-W", "error", "-c", code)


# CONTRIBUTING.md for authors of plug-ins


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
    query = section.query("exp::sam::dat/em/2/7/1/3", {})
    assert (query.path, query.resolution) == ("/em.h5", 2)
    assert (query.box.start, query.box.shape) == ((7, 256, 768), (1, 256, 256))


def test_example_database_keeps_what_it_was_told(
    make_tree: Callable[..., Config], tmp_path: Path
) -> None:
    (code,) = example("a database")
    config = make_tree({"name": "em", "path": "/em.h5"})
    file = str(tmp_path / "links.json")
    loaded(code, "JsonFile")(file, runtime_of(config)).load_config(config.dump())
    again = loaded(code, "JsonFile")(file, runtime_of(config))
    assert (again.get_path("/em.h5"), again.get_path("/other.h5")) == ("/nowhere", "")


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
