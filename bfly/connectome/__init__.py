"""Answers about neurons and synapses."""
