"""Fixtures of most tests: real data, configurations, cores, and running servers."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import settings

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.keywords import RUNTIME
from bfly.server.webserver import Webserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bfly.databases.database import Database

pytest.register_assert_rewrite("tests.fixtures")
PLUGINS = ("browser", "channels", "first", "lab", "servers")
pytest_plugins = [f"tests.fixtures.{name}" for name in PLUGINS]

# A busy machine is no mistake in what is tested.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep nothing in the folders of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note which protocol a test reads with which client."""
    for item in items:
        words = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        for mark in item.iter_markers("reads"):
            client, protocol = (text.format(**words) for text in mark.args)
            item.user_properties.append(("reads", (protocol, client)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of protocols, clients and results."""
    table: dict[tuple[str, str], dict[str, int]] = {}
    for result in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(result, []):
            # A module that could not be imported has none.
            for name, cell in getattr(report, "user_properties", ()):
                if name == "reads":
                    results = table.setdefault(tuple(cell), {})
                    results[result] = results.get(result, 0) + 1
    if table:
        terminalreporter.section("protocols and their clients")
    for (protocol, client), results in sorted(table.items()):
        counts = ", ".join(f"{count} {result}" for result, count in results.items())
        terminalreporter.line(f"{protocol:<36} {client:<28} {counts}")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with real data."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BFLY_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real data is neither at BFLY_TEST_DATA nor at {beside}")
    return folder


@pytest.fixture(scope="session")
def fib25(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FIB-25 as laboratories store it: a folder with sections and HDF5 labels."""
    folder = tmp_path_factory.mktemp("real") / "fib25"
    shutil.copytree(data / "fib25" / "grayscale", folder / "grayscale", copy_function=shutil.copy)
    for name in ("groundtruth.h5", "oversegmented_stack_labels.h5"):
        with gzip.open(data / "fib25" / f"{name}.gz") as packed, open(folder / name, "wb") as file:
            shutil.copyfileobj(packed, file)
    return folder


@pytest.fixture
def make_core() -> Callable[..., Core]:
    """Build a core; the keywords are bytes: cache, block, limit; and the allowed folders."""

    def make(
        cache: int = 64 << 20,
        block: int = 1 << 20,
        limit: int = 512 << 20,
        allowed: tuple[str, ...] = ("/",),
    ) -> Core:
        runtime = RUNTIME()
        runtime.CACHE.MAX.VALUE = cache
        runtime.CACHE.MAX_BLOCK.VALUE = block
        runtime.IMAGE.LIMIT.VALUE = limit
        runtime.FILES.ALLOWED.VALUE = list(allowed)
        return Core(Nodb("", runtime))

    return make


@contextmanager
def running(config: Config, database: Database | None = None) -> Iterator[httpx.Client]:
    """Serve a configuration, and yield a client of the server.

    The database is one in memory unless given.
    """
    database = database or Nodb("", runtime_of(config))
    server = Webserver(database.load_config(config.dump()), config)
    thread = threading.Thread(target=server.start, args=(0,), daemon=True)
    thread.start()
    assert server.wait()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        yield client
    server.stop()
    thread.join(15)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def serve() -> Callable[..., Iterator[httpx.Client]]:
    """Serve a configuration: ``with serve(config) as client``."""
    return running


@contextmanager
def run_command(*words: str, cwd: Path, **environment: str) -> Iterator[str]:
    """Run the command, and yield its address once it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bfly", *words],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    assert process.stderr
    for line in process.stderr:
        lines.append(line)
        if "http://" in line:
            break
    else:
        raise AssertionError("".join(lines))
    # Without a reader of its stderr, a program that logs much blocks.
    listener = threading.Thread(target=process.stderr.read)
    listener.start()
    try:
        yield next(word for word in line.replace('"', " ").split() if word.startswith("http://"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        listener.join()
        process.stderr.close()


@pytest.fixture(scope="session")
def command() -> Callable[..., AbstractContextManager[str]]:
    """Run the command: ``with command("-e", "folder", "0", cwd=folder) as url``."""
    return run_command


@pytest.fixture(scope="session")
def process(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Config], AbstractContextManager[httpx.Client]]:
    """Serve a configuration in a process of its own: ``with process(config)``."""

    @contextmanager
    def run(config: Config) -> Iterator[httpx.Client]:
        folder = tmp_path_factory.mktemp("process")
        config.save(str(folder / "bfly.yaml"))
        with (
            run_command("-e", "bfly.yaml", "0", cwd=folder) as url,
            httpx.Client(base_url=url, timeout=60) as client,
        ):
            yield client

    return run


def tree(*channels: dict[str, object], **settings: object) -> Config:
    """Return the configuration of one dataset, ``exp::sam::dat``."""
    dataset = {"name": "dat", "path": "/nowhere", "channels": list(channels)}
    experiments = [{"name": "exp", "samples": [{"name": "sam", "datasets": [dataset]}]}]
    return Config.parse({"bfly": {"experiments": experiments, **settings}}, "test.yaml")


@pytest.fixture(scope="session")
def make_tree() -> Callable[..., Config]:
    """Return the configuration of one dataset, ``exp::sam::dat``, from its channels."""
    return tree
