"""Database engines for neurons, synapses and edits; one module per engine."""
