"""Groups of Paintera: lists beside labels are no channels, multisets are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorstore as ts

from bfly.discovery.scan import scan
from bfly.errors import SourceError
from bfly.sources.n5 import N5
from bfly.storage.files import Files

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, shape: tuple[int, ...], **attributes: Any) -> None:
    metadata = {
        "dimensions": shape[::-1],
        "blockSize": [min(side, 8) for side in shape[::-1]],
        "dataType": "uint64",
        "compression": {"type": "gzip"},
    }
    spec = {"driver": "n5", "kvstore": f"file://{path}/s0/", "metadata": metadata, "create": True}
    ts.open(spec).result().write(np.ones(shape[::-1], np.uint64)).result()
    (path / "attributes.json").write_text(json.dumps({"multiScale": True, **attributes}))


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A group with labels and the lists about them."""
    group = tmp_path / "lab" / "labels"
    write(group / "data", (8, 8, 8))
    write(group / "unique-labels", (8, 8, 8))
    write(group / "label-to-block-mapping", (9,))
    (group / "attributes.json").write_text(json.dumps({"painteraData": {"type": "label"}}))
    return group


def names(folder: Path) -> list[str]:
    (experiment,) = scan(str(folder), Files()).experiments
    return [c.name for s in experiment.samples for d in s.datasets for c in d.channels]


def test_lists_beside_labels_are_no_channels(labels: Path, tmp_path: Path) -> None:
    assert names(tmp_path / "lab") == ["data"]


def test_other_datasets_may_have_the_same_names(labels: Path, tmp_path: Path) -> None:
    (labels / "attributes.json").unlink()
    assert names(tmp_path / "lab") == ["data", "unique-labels"]


def test_a_multiset_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "data", (8, 8, 8), isLabelMultiset=True)
    with pytest.raises(SourceError, match="data holds label multisets of Paintera"):
        N5.open(str(tmp_path / "data"))
