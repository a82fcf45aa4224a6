"""Discovery: a folder → the configuration of the channels in it."""
