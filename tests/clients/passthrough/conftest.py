"""Volumes of zarr, N5 and precomputed with chunks that can be sent as stored."""

from tests.fixtures.stored_chunks import ask, case, client, folder, sent, url

__all__ = ["ask", "case", "client", "folder", "sent", "url"]
