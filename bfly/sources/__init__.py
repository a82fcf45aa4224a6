"""The readers of file formats: one file a format, one contract in `bfly.sources.source`."""
