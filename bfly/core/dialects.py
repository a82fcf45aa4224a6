"""Methods of a plain `InfoQuery` whose answers are those of a protocol."""

from __future__ import annotations

from bfly.protocols.ndstore import ProjectQuery
from bfly.protocols.precomputed import VolumeQuery
from bfly.queries.info import InfoQuery

__all__ = ["in_dialect"]

DIALECTS: dict[str, type[InfoQuery]] = {
    "precompute_info": VolumeQuery,
    "project_info": ProjectQuery,
}
"""Kind of query that answers a method."""


def in_dialect(i_query: InfoQuery) -> InfoQuery:
    """Return a query as the kind that answers its method: itself, or a copy in a dialect."""
    dialect = DIALECTS.get(i_query.method)
    if dialect is None or type(i_query) is not InfoQuery:
        return i_query
    return dialect(**{word: getattr(i_query, name) for word, name in InfoQuery.WORDS.items()})
