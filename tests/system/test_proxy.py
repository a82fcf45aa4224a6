"""A caching proxy: nginx caches chunks, and notices that a file changed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import h5py
import httpx
import numpy as np
import pytest

from bfly.server.response import AGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

CONFIG = """
{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/cache keys_zone=chunks:1m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {server}; proxy_cache chunks; proxy_cache_revalidate on;
      add_header X-Cache $upstream_cache_status always;
    }}
  }}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def write(path: Path, value: int) -> str:
    with h5py.File(path, "w") as file:
        file["main"] = np.full((8, 8, 8), value, "u1")
    return str(path)


@pytest.fixture
def proxy(tmp_path: Path, serve, make_tree) -> Iterator[httpx.Client]:
    channel = {"name": "v", "path": write(tmp_path / "v.h5", 1)}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serve(make_tree(channel)) as client:
        server = str(client.base_url).rstrip("/")
        # Only root can say so; then the workers may read the folder of the test.
        user = "user root;" if os.geteuid() == 0 else ""
        text = CONFIG.format(folder=tmp_path, port=port, server=server, user=user)
        (tmp_path / "nginx.conf").write_text(text)
        nginx = subprocess.Popen([str(NGINX), "-c", str(tmp_path / "nginx.conf")])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as proxied:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield proxied
        nginx.terminate()
        nginx.wait(10)


def test_the_second_read_is_a_hit_and_a_changed_file_is_not(proxy, tmp_path) -> None:
    chunk = "/pre/exp::sam::dat/v/0/0-8_0-8_0-8"
    first, second = proxy.get(chunk), proxy.get(chunk)
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
    assert first.content == second.content == bytes([1]) * 512
    assert second.headers["etag"] == first.headers["etag"]
    time.sleep(AGE + 1.1)
    assert proxy.get(chunk).headers["x-cache"] == "REVALIDATED"
    os.utime(write(tmp_path / "v.h5", 2), ns=(1, 1))
    time.sleep(AGE + 1.1)
    changed = proxy.get(chunk)
    assert changed.content == bytes([2]) * 512
    assert changed.headers["etag"] != first.headers["etag"]
