"""Limits of tables."""

__all__ = ["HIGHEST_ID", "LARGEST", "ROWS"]

ROWS = 1_000_000
"""Approximate rows per batch."""

HIGHEST_ID = 2**64 - 1
"""Highest id: ids are uint64."""

LARGEST = 2**53
"""Largest position, and largest id in a float column: float64 integers are exact up to here."""
