"""The subcommands of ``bfly``, one file each."""
