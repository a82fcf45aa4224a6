"""A peer: precomputed chunks read with h5py in a pool, sent raw by uvicorn: FILE PORT."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import h5py
import uvicorn

main = h5py.File(sys.argv[1])["main"]


def _read(path: str) -> bytes:
    x, x_stop, y, y_stop, z, z_stop = map(int, re.findall(r"\d+", path.rpartition("/")[2]))
    voxels: bytes = main[z:z_stop, y:y_stop, x:x_stop].tobytes()
    return voxels


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer, as ASGI 3 has it."""
    loop = asyncio.get_running_loop()
    body = await loop.run_in_executor(None, _read, scope["path"])
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


uvicorn.run(
    application, port=int(sys.argv[2]), lifespan="off", log_level="warning", access_log=False
)
