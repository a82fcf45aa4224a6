"""An open channel: its source, its mips, and the mips that are kept on disk."""
