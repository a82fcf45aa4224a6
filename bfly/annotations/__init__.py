"""Annotations that people make: points, lines and boxes with a text and tags, on a dataset."""
