"""The core: from a query to voxels or words.

The way of a cutout: the query learns what its source is like (`Core.update_query`), the
tiles that it touches are found, each comes from the cache or is read once (`Core.load_tile`),
and they are put together (`Core.find_tiles`) and encoded (`Core.get_data`).
"""

from __future__ import annotations

import logging
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.concurrency.admission import Admission, take
from bfly.concurrency.budget import Budget
from bfly.concurrency.workers import Workers
from bfly.connectome.annotations import Annotations
from bfly.connectome.connectome import Connectome
from bfly.core.channels import Channels
from bfly.core.edit_answers import EditAnswers
from bfly.core.label_answers import LabelAnswers
from bfly.cutouts.cutouts import Cutouts
from bfly.cutouts.passthrough import passed
from bfly.cutouts.plan import check_size
from bfly.cutouts.prefetch import Prefetcher
from bfly.cutouts.stream import WHOLE, CutoutStreams
from bfly.databases.edit_logs import opened_log
from bfly.edits.edits import Edits
from bfly.errors import NotAllowed, SourceError
from bfly.geometry import zyx
from bfly.queries.data import DataQuery
from bfly.queries.tile import TileQuery
from bfly.storage.cache import Cache
from bfly.storage.files import Files
from bfly.storage.viewer_states import States

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from bfly.cutouts.passthrough import Passed
    from bfly.databases.database import Database
    from bfly.edits.state import EditState
    from bfly.queries.info import InfoQuery
    from bfly.queries.query import Query
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Core"]

log = logging.getLogger(__name__)

LONGEST_KEY = 2048
"""Characters of a key under which an answer is kept: the longest address of a tile has some 300."""

NICENESS = 5
"""By how much threads in the background stand back: they get a third of what others do of a core
that all want."""


LEAST = 128 << 20
"""Bytes of memory that answers may take together, however small the largest of them may be: with
less, the tiles of a few viewers would wait for each other."""


class Core:
    """Answers queries; works with a server around it or without.

    Parameters
    ----------
    db : Database
        A loaded database. Its ``RUNTIME`` sets the cache's size and the other limits.

    Attributes
    ----------
    _db : Database
        From the argument.
    _cache : Cache
        Of tiles, of keywords of channels, and of finished answers.
    edits : Edits
        What was done to the segments of channels.
    connectome : Connectome
        Answers requests about neurons and synapses.
    annotations : Annotations
        Answers requests for synapses as annotations.
    labels : LabelAnswers
        Answers requests for facts about labels.
    streams : CutoutStreams
        Streams large cutouts.
    prefetcher : Prefetcher
        Reads tiles that viewers are likely to request next.
    states : States
        Keeps the states of viewers.
    background : Workers
        For work that no client waits for at once: streams, facts about labels, and prefetching.
    in_pool, in_background : Admission
        Run the work of requests in threads: of most, and of those in the background.
    budget : Budget
        The memory of the answers under way, streams aside.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._cache = Cache(db.RUNTIME)
        files = db.RUNTIME.FILES
        largest = db.RUNTIME.IMAGE.CHUNK.VALUE
        self._files = Files(files.ALLOWED.VALUE, disk_cache=files.CACHE.VALUE, max_chunk=largest)
        self.edits = Edits(opened_log(db))
        self.connectome = Connectome(db, self.edits, self._cache)
        self.annotations = Annotations(self.connectome, self._cache)
        self._workers = Workers()
        self.background = Workers(niceness=NICENESS)
        self._channels = Channels(db.RUNTIME, self._cache, self._files, self.edits)
        limit = db.RUNTIME.IMAGE.LIMIT.VALUE
        self._limit = limit
        self._cutouts = Cutouts(self._cache, self._workers, self.background, limit)
        self.labels = LabelAnswers(self._channels, self._cutouts)
        total = max(limit, LEAST)
        self.budget, streams = Budget(total), Budget(2 * total)
        self.in_pool = Admission(self._workers, self.budget)
        self.in_background = Admission(self.background, streams)
        is_current = self._channels.is_current
        self.streams = CutoutStreams(self._cutouts, streams, limit, is_current)
        most = self._cache.max_bytes
        self.prefetcher = Prefetcher(self._cutouts.loader, self.background, most)
        self.states = States(db.RUNTIME.STATES.FOLDER.VALUE)
        self._edited = EditAnswers(self.edits, self._cutouts, limit)

    def close(self) -> None:
        """Stop listening for edits of other processes, and close idle files."""
        self.edits.close()
        self._files.close()

    def recall(self, key: str) -> Any:
        """Give a finished answer that is kept, or an empty list."""
        return self._cache.get(key)

    def remember(self, key: str, answer: Any) -> bool:
        """Keep a finished answer, which states its size in bytes as ``nbytes``, if it is small.

        Returns
        -------
        bool
            Whether it is kept; neither large answers are, nor those with long keys.
        """
        small = answer.nbytes <= WHOLE and len(key) <= LONGEST_KEY
        return small and self._cache.set(key, answer) == 0

    def admit(self, d_query: DataQuery) -> None:
        """Take the memory that the answer to a request for voxels needs.

        Parameters
        ----------
        d_query : DataQuery
            Its source is known.

        Raises
        ------
        TooLarge
            The voxels take more than ``max-cutout-size``.
        Later
            The memory is not free now.
        """
        self._check_size(d_query)
        take(self.budget, d_query.memory)

    def get_data(self, d_query: DataQuery) -> bytes | memoryview:
        """Answer a request for voxels.

        Parameters
        ----------
        d_query : DataQuery
            It need not know its source yet.

        Returns
        -------
        bytes-like
            The voxels in the query's format.

        Raises
        ------
        TooLarge, SourceError, NotAllowed
            As `find_tiles`.
        """
        voxels = d_query.arranged(self.find_tiles(d_query))
        return d_query.encoder.encode(voxels, view=d_query.view, kind=d_query.shown_kind)

    def get_stored(self, d_query: DataQuery, codings: Sequence[str]) -> Passed | None:
        """Answer a request for voxels with what is stored, where that is the answer.

        Parameters
        ----------
        d_query : DataQuery
            It need not know its source yet.
        codings : sequence of str
            The content codings that the client takes.

        Returns
        -------
        tuple of (bytes, str), or None
            The answer and its coding; see `bfly.cutouts.passthrough.passed`.

        Raises
        ------
        SourceError, NotAllowed
            As `find_tiles`.
        """
        return self._channels.on_current_files(d_query, partial(passed, codings=codings))

    def get_info(self, i_query: InfoQuery) -> str:
        """Answer a request for information on a channel, as JSON or YAML text."""
        i_query.update_source(self.update_query(i_query))
        if i_query.wants_neurons:
            i_query.has_neurons = self.connectome.counts(i_query)["neurons"] > 0
        i_query.known = self._usable(i_query)
        return i_query.dump

    def get_edits(self, i_query: InfoQuery, msg: Mapping[str, Any] = MappingProxyType({})) -> str:
        """Answer a request about the edits of a channel, as documented JSON.

        Parameters
        ----------
        i_query : InfoQuery
            Its method is ``websocket:restore``, or ``websocket:save`` to edit first.
        msg : dict
            What to save: ``merge``, lists of ids that become one segment each, and ``split``.

        Returns
        -------
        str
            The state after it, which is durable. What cannot be done says so as ``error``.

        Raises
        ------
        BadRequest
            The channel is an image.
        SourceError, NotAllowed, DatabaseError
            The channel or its edits cannot be opened.
        """
        i_query.update_source(self.update_query(i_query))
        return self._edited.answer(i_query, msg)

    def get_dataset(self, i_query: InfoQuery) -> str:
        """Answer a request for information on a dataset, as JSON or YAML text."""
        return i_query.dump_dataset(self._usable(i_query))

    def _usable(self, i_query: InfoQuery) -> list[InfoQuery]:
        """Give a request for each of the query's channels, its source known.

        A channel that cannot be used does not hide the others: it is left out, and logged.
        """
        known = []
        for channel in map(i_query.set_channel, i_query.channels):
            try:
                channel.update_source(self.update_query(channel))
            except (SourceError, NotAllowed) as error:
                log.warning("%s is left out of its dataset: %s", channel.name, error)
            else:
                known.append(channel)
        return known

    @staticmethod
    def get_groups(i_query: InfoQuery) -> str:
        """Answer a request for a list of names, as JSON or YAML text."""
        return i_query.dump

    @staticmethod
    def make_data_query(i_query: InfoQuery) -> DataQuery:
        """Give a request for one voxel of a channel; it takes only the path."""
        return DataQuery(path=i_query.OUTPUT.INFO.PATH.VALUE)

    @staticmethod
    def make_tile_query(d_query: DataQuery, t_index: ArrayLike = (0, 0, 0)) -> TileQuery:
        """Give the request for one tile that is part of a request.

        Parameters
        ----------
        d_query : DataQuery
            Its source is known.
        t_index : array_like of int
            The tile's position zyx, counted in tiles from the channel's first voxel.
        """
        index = zyx(np.asarray(t_index).ravel().tolist())
        return TileQuery(d_query, index, d_query.part_of_tile(index))

    def update_query(self, query: Query) -> dict[str, Any]:
        """Find what a query has to know of its source, in the cache or by opening it.

        Parameters
        ----------
        query : Query
            An `InfoQuery` or a `DataQuery`.

        Returns
        -------
        dict
            Keywords for `Query.update_source`.

        Raises
        ------
        SourceError, NotAllowed
            The channel cannot be opened.
        DatabaseError
            Its edits cannot be read.
        """
        return self._channels.keywords(query)

    def basis(self, query: Query) -> tuple[Volume, EditState | None]:
        """Return the open volume, and the state of its edits if they count, for a query."""
        return self._channels.basis(query)

    def find_tiles(self, d_query: DataQuery) -> Voxels:
        """Load the requested voxels.

        Parameters
        ----------
        d_query : DataQuery
            It need not know its source yet.

        Returns
        -------
        numpy.ndarray
            zyx, the query's shape; zeros outside the volume. Read-only where it is the
            cached tile itself.

        Raises
        ------
        TooLarge
            The voxels would take more than ``max-cutout-size``; nothing was allocated.
        SourceError
            A file cannot be read.
        NotAllowed
            A path lies outside ``allowed-paths``.
        """
        return d_query.spread(self._channels.on_current_files(d_query, self._gather))

    def _gather(self, d_query: DataQuery) -> Voxels:
        self._check_size(d_query)
        return self._cutouts.gather(d_query.region)

    def _check_size(self, d_query: DataQuery) -> None:
        check_size(d_query.shape, d_query.resolution, d_query.nbytes, self._limit)

    def find_unique(self, d_query: DataQuery) -> set[Any]:
        """Find the values that occur among the requested voxels, tile by tile.

        Parameters
        ----------
        d_query : DataQuery
            It need not know its source yet; it may be larger than ``max-cutout-size``.

        Returns
        -------
        set
            Of Python numbers, exact to the last bit; 0 if a part lies outside the volume.
        """
        return self.labels.unique(d_query)

    def load_tile(self, t_query: TileQuery) -> Voxels:
        """Load the wanted part of a tile from the cache or from disk.

        Parameters
        ----------
        t_query : TileQuery
            See `make_tile_query`.

        Returns
        -------
        numpy.ndarray
            zyx, read-only; cut off at the volume's end.
        """
        region = t_query.data.region
        return self._cutouts.loader(region).load(region, t_query.index, t_query.crop.slices)
