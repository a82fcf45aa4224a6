"""Chunks of zarr, N5 and precomputed volumes that are answers, each stored in another way."""

from tests.fixtures.stored_chunks import ask, case, client, folder, sent, url

__all__ = ["ask", "case", "client", "folder", "sent", "url"]
