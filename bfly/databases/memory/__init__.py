"""Sorted tables in memory."""
