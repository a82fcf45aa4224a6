"""The annotations of all datasets in a SQL database: durable changes, and what they lead to.

Each answer is read from the database: what another process has changed shows in the next one.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.annotations.annotation import Annotation, ordered, time_text
from bfly.annotations.rows import COLUMNS, TABLES, Filter, annotation_of, values_of
from bfly.edits.sql_statements import SqlStatements
from bfly.errors import Absent, BadRequest, Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["MOST_KEPT", "AnnotationStore", "Request"]

MOST_KEPT = 100_000
"""Annotations of a dataset, without deleted ones: a viewer reads all of them at once."""

PAGE = 1000
"""Rows of a query: bounds the memory of a read. A request changes no more."""


@dataclass(frozen=True)
class Request:
    """A request to change annotations.

    Parameters
    ----------
    user : str
        Name of the author; may be empty.
    key : str
        Name of the request, by which a repetition is known; "" if it has none.
    digest : str
        Digest of what it asks.
    seen : int, optional
        The last change of the dataset that the author has seen.
    """

    user: str
    key: str = ""
    digest: str = ""
    seen: int | None = None


class AnnotationStore(SqlStatements):
    """Base of the stores of annotations. A dataset is named by a text.

    All methods may be called from any thread. A failure of the database raises `DatabaseError`.
    """

    durable: ClassVar[bool] = True
    """Whether it outlives the process, and other processes may share it."""

    def __init__(self) -> None:
        super().__init__()
        self._made = False

    def create(
        self, dataset: str, drawn: Sequence[Mapping[str, Any]], request: Request
    ) -> list[Annotation]:
        """Create annotations.

        Parameters
        ----------
        dataset : str
            The dataset.
        drawn : sequence of mapping
            ``type`` and ``points`` of each, and ``text``, ``tags`` and ``done``.
        request : Request
            The request. If it was done before, nothing is changed.

        Raises
        ------
        BadRequest
            The dataset would have more than `MOST_KEPT`.
        Conflict
            Another request had the same key.
        """

        def made(number: int, now: float) -> Iterator[Annotation]:
            if self.count(dataset, Filter()) + len(drawn) > MOST_KEPT:
                raise BadRequest(f"A dataset has up to {MOST_KEPT} annotations, without deleted.")
            for place, each in enumerate(drawn, number):
                about = place, place, "create", now, request.user, now, request.user
                points = ordered(each["type"], each["points"])
                rest = each.get("text", ""), tuple(each.get("tags", ())), each.get("done", False)
                yield Annotation(*about, each["type"], points, *rest)

        return self._done(dataset, request, made)

    def edit(
        self, dataset: str, changed: Mapping[int, Mapping[str, Any]], request: Request
    ) -> list[Annotation]:
        """Change annotations; return those that are other than before.

        Parameters
        ----------
        dataset : str
            The dataset.
        changed : mapping
            By the id of each, what it gets: ``points``, ``text``, ``tags`` or ``done``.
        request : Request
            The request. If it was done before, nothing is changed.

        Raises
        ------
        Absent
            There is no such annotation, or it is deleted.
        BadRequest
            It has another number of points.
        Conflict
            One has changed since what the author saw, or another request had the same key.
        """

        def made(number: int, now: float) -> Iterator[Annotation]:
            for old in self._current(dataset, list(changed), request):
                new = _with(old, changed[old.id])
                if new != old:
                    yield new._replace(revision=number, action="edit", time=now, user=request.user)
                    number += 1

        return self._done(dataset, request, made)

    def delete(self, dataset: str, ids: Sequence[int], request: Request) -> list[Annotation]:
        """Delete annotations; their history stays. Raises as `edit`."""

        def made(number: int, now: float) -> Iterator[Annotation]:
            for place, old in enumerate(self._current(dataset, ids, request), number):
                yield old._replace(revision=place, action="delete", time=now, user=request.user)

        return self._done(dataset, request, made)

    def history(self, dataset: str, number: int, after: int, most: int) -> list[Annotation]:
        """Return up to so many changes of an annotation after a revision, the first one first.

        Raises
        ------
        Absent
            There has never been such an annotation.
        """
        found = self._read("id = $2 and revision > $3 order by revision", dataset, number, after)
        if not found and not (after and self.history(dataset, number, 0, 1)):
            raise Absent(f"There is no annotation {number}.")
        return found[:most]

    def find(self, dataset: str, wanted: Filter, most: int) -> list[Annotation]:
        """Return up to so many annotations by their ids, without deleted ones."""
        if not self._there():
            return []
        condition, values = wanted.condition(dataset)
        query = (
            f"select {COLUMNS} from {self.schema}annotation_changes where {condition} "
            f"order by id limit {most:d}"
        )
        return list(map(annotation_of, self._ask(query, *values)))

    def every(self, dataset: str, wanted: Filter) -> Iterator[Annotation]:
        """Yield annotations by their ids, without deleted ones, with few in memory at once."""
        while found := self.find(dataset, wanted, PAGE):
            yield from found
            wanted = replace(wanted, after=found[-1].id)

    def count(self, dataset: str, wanted: Filter) -> int:
        """Return the number of annotations, without deleted ones."""
        if not self._there():
            return 0
        condition, values = wanted.condition(dataset)
        query = f"select count(*) from {self.schema}annotation_changes where {condition}"
        return int(self._ask(query, *values)[0][0])

    def last(self, dataset: str) -> int:
        """Return the number of the last change of a dataset; 0 if there is none."""
        if not self._there():
            return 0
        query = f"select max(revision) from {self.schema}annotation_changes where dataset = $1"
        return int(self._ask(query, os.fsencode(dataset))[0][0] or 0)

    def words(self, dataset: str, kind: str, most: int) -> list[str]:
        """Return the first tags (``tag``) or names (``user``) that were used in a dataset.

        Their order never changes: a word that is used later comes later.
        """
        if not self._there():
            return []
        query = (
            f"select word from {self.schema}annotation_words where dataset = $1 and kind = $2 "
            f"order by number limit {most:d}"
        )
        return [word for (word,) in self._ask(query, os.fsencode(dataset), kind)]

    def _done(
        self,
        dataset: str,
        request: Request,
        made: Callable[[int, float], Iterator[Annotation]],
    ) -> list[Annotation]:
        """Write what follows from the last change and a time, in one transaction; return it."""
        if not self._there():
            # In a transaction of their own: an error below must not take them away.
            with self._transaction():
                for statement in TABLES.format(schema=self.schema).split(";"):
                    self._change(statement)
        with self._transaction():
            if request.key and (earlier := self._earlier(dataset, request)):
                return earlier
            changes = list(made(self.last(dataset) + 1, time.time()))
            for annotation in changes:
                self._write(dataset, annotation, request)
        return changes

    def _write(self, dataset: str, annotation: Annotation, request: Request) -> None:
        name = os.fsencode(dataset)
        self._change(
            f"update {self.schema}annotation_changes set until = $3 "
            "where dataset = $1 and id = $2 and until = 0",
            *(name, annotation.id, annotation.revision),
        )
        values = [name, 0, *values_of(annotation), request.key, request.digest]
        places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
        self._change(
            f"insert into {self.schema}annotation_changes "
            f"(dataset, until, {COLUMNS}, folded, request, digest) values ({places})",
            *values,
        )
        words = [("tag", tag) for tag in annotation.tags] + [("user", annotation.user)]
        for kind, word in words:
            self._change(
                f"insert into {self.schema}annotation_words "
                f"select $1, $2, (select count(*) from {self.schema}annotation_words "
                "where dataset = $1 and kind = $2), $3 where true on conflict do nothing",
                *(name, kind, word),
            )

    def _earlier(self, dataset: str, request: Request) -> list[Annotation]:
        """Return what a request did before; an empty list if it is a new one."""
        about = request.user, request.key
        query = (
            f"select digest from {self.schema}annotation_changes "
            "where dataset = $1 and author = $2 and request = $3 limit 1"
        )
        before = self._ask(query, os.fsencode(dataset), *about)
        if before and before[0][0] != request.digest:
            raise Conflict(f"The key {request.key} was that of another request.")
        if not before:
            return []
        return self._read("author = $2 and request = $3 order by revision", dataset, *about)

    def _current(self, dataset: str, ids: Sequence[int], request: Request) -> Iterator[Annotation]:
        """Yield annotations as they are, after checking that the author has seen them so."""
        for number in ids:
            found = self._read("id = $2 and until = 0", dataset, number)
            if not found:
                raise Absent(f"There is no annotation {number}.")
            [old] = found
            done = f"by {old.user or 'a user without a name'} at {time_text(old.time)}"
            if old.action == "delete":
                raise Absent(f"The annotation {number} was deleted {done}.")
            if request.seen is not None and old.revision > request.seen:
                raise Conflict(
                    f"The annotation {number} was changed {done}, in the revision {old.revision}, "
                    f"after the revision {request.seen} that you have seen."
                )
            yield old

    def _read(self, condition: str, dataset: str, *values: Any) -> list[Annotation]:
        if not self._there():
            return []
        query = (
            f"select {COLUMNS} from {self.schema}annotation_changes "
            f"where dataset = $1 and {condition} limit {PAGE:d}"
        )
        return list(map(annotation_of, self._ask(query, os.fsencode(dataset), *values)))

    def _there(self) -> bool:
        """Check whether the tables exist. The first change creates them."""
        self._made = self._made or self._exists("annotation_words")
        return self._made


def _with(old: Annotation, changed: Mapping[str, Any]) -> Annotation:
    """Return an annotation with what a request changes."""
    new = {word: value for word, value in changed.items() if word != "id"}
    if "points" in new:
        if len(new["points"]) != len(old.points):
            raise BadRequest(
                f"The annotation {old.id} is a {old.type}, of {len(old.points)} points."
            )
        new["points"] = ordered(old.type, new["points"])
    if "tags" in new:
        new["tags"] = tuple(new["tags"])
    return old._replace(**new)
