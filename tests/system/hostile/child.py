"""Opens and reads files in a process of its own, under a limit on memory.

Each line of the input is a path, or what `mutate.py` makes a path of; each line of the output is
JSON: first the path (``begun``), then what became of it.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import resource
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bfly import registry
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.discovery.scan import scan
from bfly.doctor.examine import examine
from bfly.errors import ButterflyError, TooLarge
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery
from bfly.queries.query import Query
from bfly.storage.files import Files
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

HUNG = 120.0
"""Seconds after which the process says where it hangs, and ends."""

COARSE = 4
"""A mip that is computed; how long much coarser ones take, the size of the volume says."""

CODINGS = ("gzip", "deflate", "zstd")


def status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) << 10
    raise KeyError(name)


def make_core() -> Core:
    runtime = RUNTIME()
    runtime.CACHE.MAX.VALUE = 64 << 20
    return Core(Nodb("", runtime))


def ask(path: str, start: Any, shape: Any, mip: int = 0, **words: Any) -> DataQuery:
    (z, y, x), (depth, height, width) = map(int, start), map(int, shape)
    return DataQuery(
        path=path, z=z, y=y, x=x, depth=depth, height=height, width=width, resolution=mip, **words
    )


def try_out(path: str, errors: list[str], foreign: list[str], work: Any) -> Any:
    """Do some work; note the error if it is one of Butterfly's, else where it came from."""
    try:
        return work()
    except TooLarge:
        # That a coarse mip takes too much is the request's fault.
        return None
    except ButterflyError as error:
        errors.append(str(error))
    except Exception:
        foreign.append(f"{path}: {traceback.format_exc()}")
    return None


def read(core: Core, path: str) -> dict[str, Any]:
    """Read a channel as clients do: its corners, its middle, coarser mips, chunks as stored."""
    errors: list[str] = []
    foreign: list[str] = []
    values: list[Any] = []

    def volume() -> Any:
        return core.update_query(Query(path=path))["volume"]

    opened = try_out(path, errors, foreign, volume)
    if opened is not None:
        z, y, x = opened.level(0).place.stop
        low = opened.level(0).place.start
        middle = [(a + b) // 2 for a, b in zip(low, (z, y, x), strict=True)]
        for start, mip in [
            (low, 0),
            (middle, 0),
            (low, 1),
            (low, COARSE),
        ]:
            at = opened.level(mip).place.start if mip else start
            query = ask(path, at, (1, 64 >> mip, 64 >> mip), mip)
            voxels = try_out(path, errors, foreign, partial(core.find_tiles, query))
            if voxels is not None:
                values.append(int(np.count_nonzero(voxels)))
        for name in ("raw", "jpeg"):
            tile = opened.level(0).scale.chunk
            query = ask(path, low, [min(n, 64) for n in tile], format=name)
            try_out(path, errors, foreign, partial(core.get_stored, query, CODINGS))
    return {"path": path, "errors": errors, "foreign": foreign, "values": values}


def look(core: Core, path: str) -> dict[str, Any]:
    """Read a channel, scan its folder and have the doctor look at it."""
    found = read(core, path)
    folder = os.path.dirname(path)
    foreign = found["foreign"]
    try_out(path, [], foreign, lambda: scan(folder, Files()))
    examined = try_out(
        path,
        [],
        foreign,
        lambda: examine("a", path, folder, lambda: Volume.open(ChannelSpec(path))),
    )
    found["doctor"] = [finding.message for finding in examined.findings] if examined else []
    return found


def main() -> None:
    faulthandler.enable()
    logging.disable(logging.CRITICAL)
    room, samples = int(sys.argv[1]), sys.argv[2]
    core = make_core()
    # Threads, libraries and their tables are there before the limit counts.
    for name in sorted(os.listdir(samples)):
        read(core, json.loads((Path(samples) / name / "channel").read_text()))
    registry.find("sources")
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + room,) * 2)
    print(json.dumps({"ready": status("VmRSS")}), flush=True)
    for path in map(str.rstrip, sys.stdin):
        print(json.dumps({"begun": path}), flush=True)
        start = time.monotonic()
        faulthandler.dump_traceback_later(HUNG, exit=True)
        if path.startswith("fuzz "):
            found = fuzz(core, *path.split(" ", 3)[1:])
        else:
            found = look(core, path)
        faulthandler.cancel_dump_traceback_later()
        peak = status("VmHWM")
        print(json.dumps({**found, "seconds": time.monotonic() - start, "peak": peak}), flush=True)


def fuzz(core: Core, seed: str, samples: str, folder: str) -> dict[str, Any]:
    """Make a damaged copy of a sample and read it; it stays only if something is wrong."""
    import mutate

    path = mutate.damaged(seed, Path(samples), Path(folder))
    found = read(core, str(path))
    try_out(str(path), [], found["foreign"], lambda: scan(folder, Files()))
    if not found["foreign"]:
        mutate.remove(Path(folder))
    return found


if __name__ == "__main__":
    main()
