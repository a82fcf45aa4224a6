"""Protocols of the clients: one file for each URL dialect."""
