"""Readers of neuron and synapse files: columns in batches of bounded size.

::

    synapses, neurons = sources_of(dataset, files)     # files to read, or None
    state = fingerprint([synapses, neurons], files)    # differs if a file or an option does
    for columns in batches(synapses, files, progress): # dict of equally long arrays
        ...

`batches` yields `Columns` (see `bfly.tables.columns`), about `ROWS` rows at a time, all with the
same names and dtypes. Synapses have ``__id``, ``n1``, ``n2`` (uint64) and ``z``, ``y``, ``x``
(int64, voxels of mip 0). Neurons have ``neuron``, ``z``, ``y``, ``x``. The file's other columns
follow as numbers or text (dtype O, never None). A file with no rows yields no batch. An error for
bad rows may come only after the last batch, so use the batches only once the iterator has ended.
"""

from bfly.tables.limits import ROWS
from bfly.tables.reading import batches
from bfly.tables.table_source import TableSource, fingerprint, named_in, sources_of

__all__ = ["ROWS", "TableSource", "batches", "fingerprint", "named_in", "sources_of"]
