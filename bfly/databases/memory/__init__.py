"""Tables in memory, sorted."""
