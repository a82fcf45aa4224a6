"""The numbers that tables are held to."""

__all__ = ["HIGHEST_ID", "LARGEST", "ROWS"]

ROWS = 1_000_000
"""About how many rows a batch has."""

HIGHEST_ID = 2**64 - 1

LARGEST = 2**53
"""The largest position, and the largest id among floats: up to here these are exact."""
