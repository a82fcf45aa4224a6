"""Typed and validated requests, independent of HTTP and of file formats."""
