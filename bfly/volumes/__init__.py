"""Open channels: the source, the mips, and the computed mips that are kept on disk."""
