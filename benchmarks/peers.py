"""The programs that take part: nginx, wrk and bfly itself, found, started and ended."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

__all__ = [
    "HOST",
    "bfly",
    "config_of",
    "configured",
    "files_over_http",
    "find",
    "local_volume",
    "machine",
    "missing",
    "nginx",
    "raw_h5py",
    "serving",
    "serving_chunkmirage",
]

HOST = "127.0.0.1"

PLACES = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"]
)
"""Where programs are looked for: nginx is often not on the path of a user."""

HOW_TO_GET = "apt-get install nginx-light wrk (macOS: brew install nginx wrk)"

NGINX = """\
worker_processes {workers};
daemon off;
{user}
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 600;
    default_type application/octet-stream;
    {temporary}
    server {{
        listen {host}:{port};
        root {folder}/files;
    }}
}}
"""


def find(program: str) -> str | None:
    """Give the path of a program, None where it is not installed."""
    return shutil.which(program, path=PLACES)


def missing(*programs: str) -> str:
    """Say which of the programs are missing and how to get them; nothing if all are there."""
    absent = [program for program in programs if find(program) is None]
    return f"{' and '.join(absent)} missing: {HOW_TO_GET}" if absent else ""


@contextlib.contextmanager
def nginx(folder: Path, files: dict[str, bytes], workers: int = 1) -> Iterator[int]:
    """Serve some bytes as files with nginx; give the port.

    Parameters
    ----------
    folder : Path
        Empty; nginx writes nowhere else.
    files : dict
        From a name to its bytes.
    workers : int
        How many processes serve.
    """
    (folder / "files").mkdir()
    for name, data in files.items():
        (folder / "files" / name).write_bytes(data)
    port = _free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    # Started by root, its worker would otherwise be nobody, who may not enter the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    words = {"user": user, "temporary": temporary, "workers": workers}
    config.write_text(NGINX.format(folder=folder, host=HOST, port=port, **words))
    command = [find("nginx") or "nginx", "-p", str(folder), "-c", str(config)]
    with _running([*command, "-e", "stderr"], folder, port):
        yield port


@contextlib.contextmanager
def bfly(folder: Path, config: dict[str, Any], workers: int = 1) -> Iterator[int]:
    """Serve a configuration with Butterfly, as a user would; give the port."""
    with serving(folder, configured(folder, config), workers) as (port, _):
        yield port


def config_of(path: str, **settings: int) -> dict[str, Any]:
    """Give the configuration that serves one file as ``e::s::d/em``."""
    channels = [{"name": "em", "path": path}]
    samples = [{"name": "s", "datasets": [{"name": "d", "path": "/", "channels": channels}]}]
    return {"bfly": {"experiments": [{"name": "e", "samples": samples}], **settings}}


def configured(folder: Path, config: dict[str, Any]) -> str:
    """Write a configuration for ``-e``; give its path."""
    path = folder / "bfly.yaml"
    path.write_text(yaml.safe_dump(config))
    return str(path)


@contextlib.contextmanager
def serving(folder: Path, experiments: str, workers: int = 1) -> Iterator[tuple[int, int]]:
    """Serve what ``-e`` names, by processes that work in `folder`; give port and the first one."""
    port = _free_port()
    command = [sys.executable, "-m", "bfly", "-e", experiments, "--host", HOST, str(port)]
    command += ["--workers", str(workers)] * (workers > 1)
    with _running(command, folder, port) as process:
        yield port, process


@contextlib.contextmanager
def raw_h5py(folder: Path, path: str) -> Iterator[int]:
    """Serve the raw chunks of a file, read with h5py, with the server that Butterfly uses."""
    with _script("raw_h5py.py", folder, path) as port:
        yield port


@contextlib.contextmanager
def local_volume(folder: Path, path: str) -> Iterator[int]:
    """Serve the dataset of a file with the Python package of Neuroglancer."""
    with _script("local_volume.py", folder, path) as port:
        yield port


@contextlib.contextmanager
def serving_chunkmirage(folder: Path, python: str, path: Path, label: int) -> Iterator[int]:
    """Serve the mesh of one label of a file as ``body``, with the chunkmirage of a Python."""
    port = _free_port()
    only = f"threshold:low={label},high={label + 1},value=255"
    program = str(Path(python).with_name("chunkmirage"))
    command = [program, "serve", f"{path}::/main", "--name", "body", "--op", only, "--no-raw"]
    command += ["--mesh", "kind=surface,threshold=128", "--host", HOST, "--port", str(port)]
    with _running(command, folder, port):
        yield port


@contextlib.contextmanager
def _script(name: str, folder: Path, path: str) -> Iterator[int]:
    port = _free_port()
    command = [sys.executable, str(Path(__file__).with_name(name)), path, str(port)]
    with _running(command, folder, port):
        yield port


@contextlib.contextmanager
def files_over_http(folder: Path, root: Path) -> Iterator[int]:
    """Serve a folder of files with Python's own ``http.server``, as it is run by hand."""
    port = _free_port()
    command = [sys.executable, "-m", "http.server", "--bind", HOST, "--directory", str(root)]
    with _running([*command, str(port)], folder, port):
        yield port


@contextlib.contextmanager
def _running(command: Sequence[str], folder: Path, port: int) -> Iterator[int]:
    """Keep a server running, from when it listens; what it says is shown if it does not.

    Gives the number of its process.
    """
    log = folder / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        try:
            for _ in range(3000):
                with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
                    break
                if process.poll() is not None:
                    break
                time.sleep(0.01)
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} does not run:\n{log.read_text()}")
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def machine() -> dict[str, str]:
    """Say what the figures are true for: the processor, its load, the versions that count."""
    packages = ("bfly", "uvicorn", "numpy", "h5py", "imagecodecs", "isal", "opencv-python-headless")
    packages += ("cloud-volume", "zarr", "neuroglancer")
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "HDF5": h5py.version.hdf5_version,
        "nginx": _version_of("nginx"),
        "wrk": _version_of("wrk"),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _version_of(program: str) -> str:
    path = find(program)
    if path is None:
        return "not installed"
    said = subprocess.run([path, "-v"], capture_output=True, text=True, timeout=10)
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return found[0] if found else "unknown"
