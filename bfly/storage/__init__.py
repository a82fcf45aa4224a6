"""Caches in memory and on disk, viewer states, and the one module that opens files."""
