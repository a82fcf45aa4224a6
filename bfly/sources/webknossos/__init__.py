"""Datasets of webKnossos: layers and their mags, in any of its formats."""
