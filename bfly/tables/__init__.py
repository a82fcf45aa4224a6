"""Reads files of neurons and synapses into columns, in batches, without holding the file.

::

    synapses, neurons = sources_of(dataset, files)     # what to read, None for nothing
    state = fingerprint([synapses, neurons], files)    # differs once a file or an option does
    for columns in batches(synapses, files, progress): # columns: dict of equally long arrays
        ...

`batches` gives, for either table, the `Columns` that `bfly.tables.columns` describes, about
`ROWS` rows at a time and all with the same names and dtypes: of synapses ``__id``, ``n1``,
``n2`` (uint64) and ``z``, ``y``, ``x`` (int64, voxels of mip 0), of neurons ``neuron``, ``z``,
``y``, ``x``; then the file's other columns as numbers, or as text (dtype O, never None).
A file without rows gives no batch. Of bad rows the error comes after the last batch at the
latest, so what was given until then is only good once the iterator has ended.
"""

from bfly.tables.limits import ROWS
from bfly.tables.reading import batches
from bfly.tables.table_source import TableSource, fingerprint, sources_of

__all__ = ["ROWS", "TableSource", "batches", "fingerprint", "sources_of"]
