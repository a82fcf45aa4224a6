"""Encoders of output formats: one file per format, one contract in `bfly.encoders.encoder`."""
