"""From a protocol's query to a response, which is cached if it stays valid."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from bfly.concurrency.admission import current
from bfly.core.answers import answer, group_of
from bfly.cutouts.streamed import Stream
from bfly.queries.query import LABELS, STATE
from bfly.server.response import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.core.core import Core
    from bfly.edits.shown import Shown
    from bfly.edits.state import EditState
    from bfly.protocols.protocol import Protocol
    from bfly.queries.query import Query
    from bfly.volumes.volume import Volume

__all__ = ["Handler"]


class Handler:
    """Makes responses, in a thread, since work may block on a disk or take long.

    Parameters
    ----------
    core : Core
        Answers the queries.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(
        self,
        key: str,
        kept: Response | None,
        protocol: Protocol,
        path: str,
        query_string: str,
        given: Mapping[str, str],
        codings: Sequence[str],
    ) -> Response | Stream:
        """Answer a GET of an address.

        Parameters
        ----------
        key : str
            Key under which the response is cached.
        kept : Response, optional
            The cached response, which may be from older files.
        protocol : Protocol
            Parses the address.
        path, query_string : str
            The path, as `Protocol.query` takes it, and the query string after it.
        given : mapping of str to str
            Parameters that are not in the query string: ``accept``, the client's preferred media
            type among those of the protocol, and ``address`` (see `Protocol.needs_address`).
        codings : sequence of str
            The content codings that the client accepts.

        Returns
        -------
        Response or Stream
            Rows and large cutouts are made only while they are sent.
        """
        core = self._core
        parameters = dict(parse_qsl(query_string, keep_blank_values=True))
        query = protocol.query(path, {**parameters, **given})
        query.labels = LABELS.read("labels", parameters.get("labels", query.labels))
        if parameters.get("state"):
            query.at = STATE.read("state", parameters["state"])
        if group := group_of(query):
            core.in_pool.join(group)
        if kept is not None and query.path and _are_same(kept.basis, core.basis(query)):
            return kept
        made = answer(core, query, codings)
        if isinstance(made, Stream):
            return made
        volume, state = query.known_volume, query.state
        response = Response.make(
            made.body,
            query.mime_type,
            codings=codings,
            vary=["accept"] if protocol.offers else (),
            extra=made.headers,
            coding=made.coding,
            edited=state is not None and state.position > 0,
            basis=(volume, state, made.shown),
            is_fresh=partial(_is_fresh, volume, state, made.shown),
            beside=sum(each.nbytes for each in made.shown),
        )
        self._keep(key, response, query)
        return response

    def post(
        self,
        protocol: Protocol,
        path: str,
        body: bytes,
        address: str,
        query_string: str,
        codings: Sequence[str],
    ) -> Response:
        """Answer a POST; for the arguments see `get` and `Protocol.post`."""
        parameters = dict(parse_qsl(query_string, keep_blank_values=True))
        return self._uncached(protocol.post(path, body, address, parameters), codings)

    def ask(
        self,
        protocol: Protocol,
        path: str,
        body: bytes,
        address: str,
        query_string: str,
        codings: Sequence[str],
    ) -> Response:
        """Answer a GET with a body; for the arguments see `get`."""
        parameters = dict(parse_qsl(query_string, keep_blank_values=True))
        parameters |= {"body": body.decode(errors="replace"), "address": address}
        return self._uncached(protocol.query(path, parameters), codings)

    def _uncached(self, query: Query, codings: Sequence[str]) -> Response:
        made = answer(self._core, query)
        assert not isinstance(made, Stream)
        headers = [each for each in made.headers if each[0] != b"cache-control"]
        headers.append((b"cache-control", b"no-store"))
        return Response.make(made.body, query.mime_type, codings=codings, extra=headers)

    def _keep(self, key: str, response: Response, query: Query) -> None:
        """Cache a response if it stays valid; otherwise count its memory until it is sent."""
        ticket, is_kept = current(), query.lasting and self._core.remember(key, response)
        if ticket is not None and ticket.grant is not None:
            ticket.grant.shrink(0 if is_kept else response.nbytes)
            response.grant = ticket.grant


def _is_fresh(volume: Volume | None, state: EditState | None, shown: Sequence[Shown]) -> bool:
    """Return whether the volume and the state of an answer are current, without disk access."""
    is_same = state is None or state.current or _is_alike(shown, state.latest())
    return is_same and (volume is None or volume.is_fresh())


def _is_alike(shown: Sequence[Shown], state: EditState | None) -> bool:
    """Return whether a state is known to show the same."""
    return bool(shown) and state is not None and all(each.is_still_of(state) for each in shown)


def _are_same(
    basis: tuple[Volume | None, EditState | None, Sequence[Shown]],
    now: tuple[Volume, EditState | None],
) -> bool:
    volume, state, shown = basis
    return volume is now[0] and (state is now[1] or _is_alike(shown, now[1]))
