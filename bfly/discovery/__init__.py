"""From a folder to the configuration of what is in it."""
