"""Butterfly beside its peers, measured: ``python -m benchmarks``."""
