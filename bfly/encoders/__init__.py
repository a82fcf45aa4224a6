"""The writers of output formats: one file a format, one contract in `bfly.encoders.encoder`."""
