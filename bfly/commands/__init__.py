"""The commands below ``bfly``: one file each."""
