"""Decoders that may crash on damaged data, in processes of their own.

A process gets a line of JSON with the function and the size of its data, then the data. It sends a
line of JSON with the dtype and the shape of the array, or with the error, then the array.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bfly.errors import SourceError

if TYPE_CHECKING:
    from typing import IO

    from numpy.typing import NDArray

__all__ = ["isolated", "serve"]

PATIENCE = 60.0
"""Seconds until a decoder is given up."""

MEMORY = 8 << 30
"""Bytes of address space of such a process."""

PROCESSES = 2
"""Processes that decode at the same time."""

READY = b"ready\n"

_slots = threading.BoundedSemaphore(PROCESSES)
_idle: list[_Worker] = []


class _Worker:
    """A process that decodes one piece of data after the other; it ends with this one."""

    is_late = False

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._input = cast("IO[bytes]", self._process.stdin)
        self._output = cast("IO[bytes]", self._process.stdout)
        self.is_ready = self._output.readline() == READY

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def call(self, module: str, function: str, data: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the answer and the bytes of the array; raise `EOFError` if the process ends."""
        asked = {"module": module, "function": function, "size": len(data)}
        self._input.write(json.dumps(asked).encode() + b"\n" + data)
        self._input.flush()
        line = self._output.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        reply = json.loads(line)
        size = 0 if "error" in reply else _nbytes(reply)
        voxels = self._output.read(size)
        if len(voxels) != size:
            raise EOFError
        return reply, voxels

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()
        with suppress(OSError):  # It may have data that were never written.
            self._input.close()

    def give_up(self) -> None:
        """End the process while another thread waits for its answer."""
        self.is_late = True
        self._process.kill()


def isolated(module: str, function: str, data: bytes, what: str) -> NDArray[Any]:
    """Return the array that a function makes of data, in another process.

    Parameters
    ----------
    module, function : str
        The function; it takes the data alone.
    data : bytes
        Its argument.
    what : str
        Name of the data in messages.

    Raises
    ------
    SourceError
        The function raises an error, ends its process, or takes longer than `PATIENCE`.
    """
    with _slots:
        worker = _taken(what)
        timer = threading.Timer(PATIENCE, worker.give_up)
        timer.start()
        try:
            reply, voxels = worker.call(module, function, data)
        except (EOFError, OSError, ValueError) as error:
            worker.end()
            if worker.is_late:
                raise SourceError(f"{what} is not decoded within {PATIENCE:g} s.") from error
            raise SourceError(f"{what} is damaged: its decoder crashed.") from error
        except BaseException:
            worker.end()
            raise
        finally:
            timer.cancel()
        _idle.append(worker)
    if "error" in reply:
        raise SourceError(f"{what} cannot be decoded: {reply['error']}.")
    return np.frombuffer(bytearray(voxels), reply["dtype"]).reshape(reply["shape"])


def _taken(what: str) -> _Worker:
    """Return a process that waits for data."""
    while _idle:
        worker = _idle.pop()
        if worker.is_alive:
            return worker
        worker.end()
    worker = _Worker()
    if not worker.is_ready:
        worker.end()
        raise SourceError(f"{what} cannot be decoded: no process can be started for its decoder.")
    return worker


def _nbytes(reply: dict[str, Any]) -> int:
    shape: list[int] = reply["shape"]
    return math.prod(shape) * int(np.dtype(reply["dtype"]).itemsize)


def serve() -> None:
    """Answer requests on the standard input until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a decoder prints must not get between the answers.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    output.write(READY)
    output.flush()
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        data = sys.stdin.buffer.read(asked["size"])
        try:
            found = getattr(import_module(asked["module"]), asked["function"])(data)
            voxels = np.ascontiguousarray(found)
            output.write(json.dumps({"dtype": voxels.dtype.str, "shape": voxels.shape}).encode())
            output.write(b"\n" + voxels.tobytes())
        except Exception as error:
            output.write(json.dumps({"error": str(error) or type(error).__name__}).encode() + b"\n")
        output.flush()
