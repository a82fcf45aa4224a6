"""How kinds of queries are answered: the types of the dispatch table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bfly.core.core import Core
    from bfly.cutouts.streamed import Stream
    from bfly.edits.shown import Shown
    from bfly.protocols.ready import Headers

__all__ = ["DATABASE", "DATASETS", "MESHES", "Answer", "Kind"]

DATABASE, DATASETS, MESHES = "the database", "all channels of a dataset", "meshes"
"""Groups of work (see `Admission`), besides one group per channel, named by its path."""


class Answer(NamedTuple):
    """Bytes, their content coding and their headers.

    Parameters
    ----------
    body : bytes or memoryview
        Flat, of bytes.
    coding : str
        Content coding that the body already has, or "".
    headers : sequence of (bytes, bytes)
        Headers of this answer; they replace those of every answer by name.
    shown : tuple of Shown
        What the answer shows of a state of edits: it is that of another state, too, if all of
        these are. Empty if that is not known.
    """

    body: bytes | memoryview
    coding: str = ""
    headers: Headers = ()
    shown: tuple[Shown, ...] = ()


class Kind(NamedTuple):
    """How one kind of query is answered.

    Parameters
    ----------
    answer : callable
        Takes the core, the query, and the content codings that the client accepts.
    group : str or None
        Group of the work; the query's path unless given.
    """

    answer: Callable[[Core, Any, Sequence[str]], Answer | Stream]
    group: str | None = None
