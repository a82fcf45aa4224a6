"""The tables of annotations: a row for each change of an annotation, and one for each word."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.annotations.annotation import Annotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.annotations.annotation import Corner

__all__ = ["COLUMNS", "TABLES", "Filter", "annotation_of", "values_of"]

TABLES = """
create table if not exists {schema}annotation_changes (
    dataset bytea not null, revision bigint not null, id bigint not null, until bigint not null,
    action text not null, time double precision not null, author text not null,
    created double precision not null, creator text not null, shape text not null,
    z0 double precision not null, y0 double precision not null, x0 double precision not null,
    z1 double precision not null, y1 double precision not null, x1 double precision not null,
    note text not null, tags text not null, done bigint not null,
    folded text not null, request text not null, digest text not null,
    primary key (dataset, revision)
);
create index if not exists annotation_ids
    on {schema}annotation_changes (dataset, id, revision);
create index if not exists annotation_latest
    on {schema}annotation_changes (dataset, until, id);
create index if not exists annotation_requests
    on {schema}annotation_changes (dataset, author, request);
create table if not exists {schema}annotation_words (
    dataset bytea not null, kind text not null, number bigint not null, word text not null,
    primary key (dataset, kind, word)
)
"""
"""``until`` is the revision that replaced a row, 0 if none did. ``tags`` are lines, between two
line breaks. ``folded`` is the text for a search. The last table is made last: once it is there, so
are the others."""

COLUMNS = (
    "id, revision, action, time, author, created, creator, shape, z0, y0, x0, z1, y1, x1, "
    "note, tags, done"
)


def annotation_of(row: Sequence[Any]) -> Annotation:
    """Return the annotation of a row of `COLUMNS`."""
    about, (shape, z0, y0, x0, z1, y1, x1), (note, tags, done) = row[:7], row[7:14], row[14:]
    ends: tuple[Corner, ...] = ((z0, y0, x0), (z1, y1, x1))
    points = ends[:1] if shape == "point" else ends
    words = tuple(tags.strip("\n").split("\n")) if tags else ()
    return Annotation._make([*about, shape, points, note, words, bool(done)])


def values_of(annotation: Annotation) -> list[Any]:
    """Return the values of `COLUMNS`, and that of ``folded``."""
    *about, points, note, tags, done = annotation
    lines = "\n".join(["", *tags, ""]) if tags else ""
    return [*about, *points[0], *points[-1], note, lines, int(done), note.casefold()]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which annotations are wanted; all by default.

    Parameters
    ----------
    type : str
        One of `bfly.annotations.annotation.TYPES`.
    box : tuple of Corner, optional
        Lowest corner and end of a box that they touch.
    tag, text : str
        A tag that they have, and what their text contains, whatever the case of its letters.
    user : str, optional
        By which name they were changed last.
    since : float, optional
        Changed at or after this time, in seconds since 1970.
    done : bool, optional
        Whether they are dealt with.
    after : int
        Only those with higher ids.
    """

    WORDS: ClassVar[frozenset[str]] = frozenset(
        ("type", "box", "tag", "text", "user", "since", "done", "after")
    )
    """Names of the parameters."""

    type: str = ""
    box: tuple[Corner, Corner] | None = None
    tag: str = ""
    text: str = ""
    user: str | None = None
    since: float | None = None
    done: bool | None = None
    after: int = 0

    def condition(self, dataset: str) -> tuple[str, list[Any]]:
        """Return the condition of a query, with ``$1`` and so on, and their values."""
        parts = ["dataset = {}", "until = 0", "action <> 'delete'", "id > {}"]
        values: list[Any] = [os.fsencode(dataset), self.after]
        for text, value in (
            ("shape = {}", self.type or None),
            ("author = {}", self.user),
            ("time >= {}", self.since),
            ("done = {}", None if self.done is None else int(self.done)),
            # Unlike LIKE, it has no special characters, and counts case in both engines.
            ("replace(tags, {}, '') <> tags", f"\n{self.tag}\n" if self.tag else None),
            ("replace(folded, {}, '') <> folded", self.text.casefold() or None),
        ):
            if value is not None:
                parts.append(text)
                values.append(value)
        if self.box is not None:
            for axis, low, high in zip("zyx", *self.box, strict=True):
                # The ends of a line are in any order.
                parts.append(f"({axis}0 >= {{}} or {axis}1 >= {{}})")
                parts.append(f"({axis}0 < {{}} or {axis}1 < {{}})")
                values += [low, low, high, high]
        names = (f"${number}" for number in range(1, len(values) + 1))
        return " and ".join(parts).format(*names), values
