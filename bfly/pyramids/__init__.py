"""Computed mips, kept on disk: the store, its bound in bytes, and filling it ahead."""
