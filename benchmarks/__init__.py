"""Butterfly's image path beside its peers, measured: ``python -m benchmarks``."""
