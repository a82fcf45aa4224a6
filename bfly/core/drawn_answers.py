"""Answers about annotations that people make: lists, histories and changes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from bfly.annotations.rows import Filter
from bfly.annotations.store import Request
from bfly.core.kinds import DATABASE, Answer
from bfly.core.segment_kinds import NO_CACHE
from bfly.cutouts.streamed import Stream
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bfly.annotations.annotation import Annotation
    from bfly.annotations.store import AnnotationStore
    from bfly.queries.drawn import DrawnQuery

__all__ = ["DrawnAnswers"]

USUAL = 100
"""Annotations of an answer, unless the request has a count."""

AT_ONCE = 100
"""Rows of CSV that are written at once."""

COLUMNS = (
    *("id", "revision", "type", "x", "y", "z", "x2", "y2", "z2", "text", "tags", "done"),
    *("user", "time", "creator", "created"),
)
"""Columns of CSV."""


class DrawnAnswers:
    """Answers requests of `DrawnQuery`.

    Parameters
    ----------
    store : AnnotationStore
        The annotations of all datasets.
    changed : callable
        Is called after each change, so that no request is answered with what was read before.
    """

    def __init__(self, store: AnnotationStore, changed: Callable[[], None]) -> None:
        self.store, self._changed = store, changed

    def answer(self, query: DrawnQuery) -> Answer | Stream:
        """Answer a request.

        Raises
        ------
        BadRequest, Absent, Conflict, DatabaseError
            As the methods of `AnnotationStore`.
        """
        asked = query.asked
        if query.action == "list":
            return self._list(query)
        if query.action == "history":
            return _json(self._history(query))
        said = json.dumps([query.action, {**asked, "user": "", "key": ""}], sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()
        request = Request(asked.get("user", ""), asked.get("key", ""), digest, asked.get("seen"))
        made = self._change(query, request)
        self._changed()
        return _json(
            {"last": self.store.last(query.store), "annotations": [each.record for each in made]}
        )

    def _change(self, query: DrawnQuery, request: Request) -> list[Annotation]:
        asked = query.asked
        if query.action == "create":
            return self.store.create(query.store, asked["annotations"], request)
        if query.action == "delete":
            return self.store.delete(query.store, list(dict.fromkeys(asked["ids"])), request)
        changed: dict[int, Mapping[str, Any]] = {}
        for each in asked["annotations"]:
            if each["id"] in changed:
                raise BadRequest(f"The annotation {each['id']} is twice in the request.")
            changed[each["id"]] = each
        return self.store.edit(query.store, changed, request)

    def _list(self, query: DrawnQuery) -> Answer | Stream:
        wanted = Filter(**{word: query.asked[word] for word in Filter.WORDS if word in query.asked})
        if query.asked.get("format") == "csv":
            rows = partial(self._csv, query.store, wanted, query.asked.get("count"))
            return Stream(parts=lambda _: rows(), media_type=query.mime_type, group=DATABASE)
        most = query.asked.get("count", USUAL)
        # A change meanwhile counts as not seen.
        last = self.store.last(query.store)
        found = self.store.find(query.store, wanted, most + 1)
        total = self.store.count(query.store, replace(wanted, after=0))
        return _json(
            {
                "last": last,
                "total": total,
                "annotations": [each.record for each in found[:most]],
                "next": found[most - 1].id if len(found) > most else None,
            }
        )

    def _csv(self, store: str, wanted: Filter, most: int | None) -> Iterator[bytes]:
        """Yield CSV, some annotations at a time."""
        yield _line([COLUMNS])
        rows = map(_row, islice(self.store.every(store, wanted), most))
        while some := list(islice(rows, AT_ONCE)):
            yield _line(some)

    def _history(self, query: DrawnQuery) -> dict[str, Any]:
        asked = query.asked
        most = asked.get("count", USUAL)
        found = self.store.history(query.store, asked["id"], asked.get("after", 0), most + 1)
        return {
            "changes": [{"action": each.action, **each.record} for each in found[:most]],
            "next": found[most - 1].revision if len(found) > most else None,
        }


def _json(answer: dict[str, Any]) -> Answer:
    return Answer(json.dumps(answer).encode(), headers=[NO_CACHE])


def _row(annotation: Annotation) -> list[Any]:
    record = annotation.record
    places = [side for point in record.pop("points") for side in point]
    x, y, z, x2, y2, z2 = [*places, "", "", ""][:6]
    about = {"x": x, "y": y, "z": z, "x2": x2, "y2": y2, "z2": z2, "tags": ";".join(record["tags"])}
    row = {**record, **about, "done": str(record["done"]).lower()}
    return [row[column] for column in COLUMNS]


def _line(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
