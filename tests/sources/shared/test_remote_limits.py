"""Servers that send more than metadata may have: reading stops, whatever length they state."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from bfly.errors import Oversized, SourceError
from bfly.sources.shared.remote import Unclear, document
from bfly.storage.files import Files
from bfly.storage.limits import METADATA
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

PIECE = bytes(1 << 20)


class Server(BaseHTTPRequestHandler):
    """Sends zeros until the client leaves, or what it is told to send."""

    sent: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name == "missing":
            self.send_error(404)
        elif name == "broken":
            self.send_error(500)
        elif name == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "/small")
            self.end_headers()
        elif name in ("small", "packed", "short"):
            data = json.dumps({"a": 1}).encode()
            data = gzip.compress(data) if name == "packed" else data
            self.send_response(200)
            if name == "packed":
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(data) + (name == "short")))
            self.end_headers()
            self.wfile.write(data)
        elif name == "bomb":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(gzip.compress(bytes(METADATA + 1)))
        else:
            self.send_response(200)
            if name == "stated":
                self.send_header("Content-Length", str(2 << 30))
            self.end_headers()
            self.sent.append(0)
            try:
                for _ in range(2048):
                    self.wfile.write(PIECE)
                    self.sent[-1] += len(PIECE)
            except OSError:
                pass

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def url():
    Server.sent.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["info", "stated", "bomb"])
def test_what_is_too_long_is_refused(url, name):
    with pytest.raises(Oversized, match=url):
        document(f"{url}/{name}", 30)
    assert all(sent < 2 * METADATA for sent in Server.sent)


def test_a_channel_with_long_metadata_is_refused(url):
    with pytest.raises(Oversized, match=f"at most {METADATA}"):
        Volume.open(ChannelSpec(f"{url}/volume"), Files([url]))


def test_documents(url):
    assert json.loads(document(f"{url}/small", 30) or b"") == {"a": 1}
    assert json.loads(document(f"{url}/packed", 30) or b"") == {"a": 1}
    assert document(f"{url}/missing", 30) is None
    with pytest.raises(SourceError, match="cut short"):
        document(f"{url}/short", 30)


@pytest.mark.parametrize("name", ["broken", "elsewhere"])
def test_what_is_no_answer_is_found_out_otherwise(url, name):
    with pytest.raises(Unclear):
        document(f"{url}/{name}", 30)
