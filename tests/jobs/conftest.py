"""Channels of which mips have to be computed, and mips computed by other means."""

from tests.fixtures.pyramids import independent, make_core, store_folder, write_channel

__all__ = ["independent", "make_core", "store_folder", "write_channel"]
