"""Rows as bytes, a batch at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from bfly.tables.writing import write_rows


def test_texts_stay_texts_in_arrow_where_the_first_batch_has_no_rows() -> None:
    kinds = np.array(["a", "\N{GREEK SMALL LETTER ALPHA}"], object)
    batches = [{"kind": kinds[:0]}, {"kind": kinds}]
    data = b"".join(write_rows("arrow", batches, "number"))
    assert pa.ipc.open_stream(data).read_all().to_pydict() == {"kind": kinds.tolist()}
