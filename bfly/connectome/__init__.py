"""Queries for neurons and synapses, and their answers."""
