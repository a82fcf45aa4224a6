"""Annotations that people make as precomputed annotations: one collection for each type.

The format: ``src/datasource/precomputed/annotation.rst`` in the Neuroglancer repository. It has
numbers only. A viewer shows the label of a number where ``info`` has one: so texts, tags and names
are numbers with labels. A number never changes its meaning.
"""

from __future__ import annotations

import json
from math import floor
from struct import Struct
from typing import TYPE_CHECKING, Any

from bfly.annotations.rows import Filter
from bfly.annotations.store import MOST_KEPT
from bfly.errors import Absent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bfly.annotations.annotation import Annotation
    from bfly.annotations.store import AnnotationStore
    from bfly.queries.drawn import CollectionQuery
    from bfly.queries.query import Query

__all__ = ["DrawnCollections"]

TYPES = {"point": "POINT", "line": "LINE", "box": "AXIS_ALIGNED_BOUNDING_BOX"}
"""Names in the format; CloudVolume knows only capitals."""

PROPERTIES = {"text": "uint32", "tag": "uint16", "user": "uint16", "done": "uint8"}
"""Properties and their types, the widest first, as the format requires."""

MOST = 2**16 - 1
"""Tags or names that have numbers."""

MOST_LABELS = 5000
"""Labels of a property: `info` stays small enough for a viewer. Later ones are only numbers."""

LONGEST = 100
"""Characters of a label."""


class DrawnCollections:
    """Answers requests of `CollectionQuery`, read from the store each time.

    Parameters
    ----------
    store : AnnotationStore
        The annotations of all datasets.
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    """

    def __init__(self, store: AnnotationStore, keywords: Callable[[Query], dict[str, Any]]) -> None:
        self._store, self._keywords = store, keywords

    def answer(self, query: CollectionQuery) -> bytes:
        """Answer a request.

        Raises
        ------
        Absent
            There is no annotation of this id and type.
        SourceError, NotAllowed, DatabaseError
            The channel or the database cannot be used.
        """
        if query.part == "info":
            return self._info(query)
        if query.part == "spatial":
            record, ids, parts = self._recorder(query), bytearray(), []
            for each in self._store.every(query.store, Filter(type=query.type)):
                parts.append(record(each))
                ids += each.id.to_bytes(8, "little")
            return b"".join([len(parts).to_bytes(8, "little"), *parts, ids])
        after = max(int(query.id or 0) - 1, 0)
        found = self._store.find(query.store, Filter(type=query.type, after=after), 1)
        if not found or found[0].id != query.id:
            raise Absent(f"There is no {query.type} {query.id}.")
        return self._recorder(query)(found[0])

    def _info(self, query: CollectionQuery) -> bytes:
        query.update_source(self._keywords(query))
        whole, sizes = query.volume.level(0).place, query.volume.voxel_size
        low, high = list(whole.start), list(whole.stop)
        texts: dict[int, str] = {}
        for each in self._store.every(query.store, Filter(type=query.type)):
            texts[each.revision] = _label(each.text)
            for point in each.points:
                low = [min(side, floor(place)) for side, place in zip(low, point, strict=True)]
                # The end of the one cell is outside of it.
                high = [
                    max(side, floor(place) + 1) for side, place in zip(high, point, strict=True)
                ]
        low, high = low[::-1], high[::-1]
        info: dict[str, Any] = {
            "@type": "neuroglancer_annotations_v1",
            "dimensions": {
                axis: [size / 1e9, "m"] for axis, size in zip("xyz", sizes[::-1], strict=True)
            },
            "lower_bound": low,
            "upper_bound": high,
            "annotation_type": TYPES[query.type],
            "properties": [
                {"id": name, "type": kind, **_labelled(self._labels(query.store, name, texts))}
                for name, kind in PROPERTIES.items()
            ],
            "relationships": [],
            "by_id": {"key": "by_id"},
            "spatial": [
                {
                    "key": "spatial0",
                    "grid_shape": [1, 1, 1],
                    "chunk_size": [stop - start for start, stop in zip(low, high, strict=True)],
                    "limit": MOST_KEPT,
                }
            ],
        }
        return json.dumps(info).encode()

    def _labels(self, store: str, name: str, texts: Mapping[int, str]) -> dict[int, str]:
        """Return the labels of the numbers of a property."""
        if name == "done":
            return {0: "to do", 1: "done"}
        if name == "text":
            latest = sorted((number for number, text in texts.items() if text), reverse=True)
            return {0: "none", **{number: texts[number] for number in latest[:MOST_LABELS]}}
        words = self._store.words(store, name, MOST_LABELS)
        return {0: "none", **dict(enumerate((word or "none" for word in words), 1))}

    def _recorder(self, query: CollectionQuery) -> Callable[[Annotation], bytes]:
        """Return a function that writes an annotation as a record of a list."""
        tags, users = (
            {
                word: place
                for place, word in enumerate(self._store.words(query.store, name, MOST), 1)
            }
            for name in ("tag", "user")
        )
        sides = 3 if query.type == "point" else 6
        layout = Struct(f"<{sides}fIHHB3x")

        def record(each: Annotation) -> bytes:
            places = [side for point in each.points for side in point[::-1]]
            text = each.revision if each.text else 0
            tag = tags.get(each.tags[0], 0) if each.tags else 0
            return layout.pack(*places, text, tag, users.get(each.user, 0), each.done)

        return record


def _label(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _labelled(labels: dict[int, str]) -> dict[str, Any]:
    return {"enum_values": list(labels), "enum_labels": list(labels.values())}
