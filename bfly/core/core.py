"""The core: from a query to voxels or text.

Steps of a cutout: `Core.update_query` finds the metadata of the source. `Core.find_tiles` plans the
tiles, gets each from the cache or from disk as `Core.load_tile` does, and assembles them.
`Core.get_data` calls both, and encodes the result.
"""

from __future__ import annotations

import logging
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bfly.concurrency.admission import Admission, take
from bfly.concurrency.budget import Budget
from bfly.concurrency.workers import Workers
from bfly.connectome.annotations import Annotations
from bfly.connectome.connectome import Connectome
from bfly.core.channels import Channels, on_current_files
from bfly.core.dialects import in_dialect
from bfly.core.drawn_answers import DrawnAnswers
from bfly.core.drawn_collections import DrawnCollections
from bfly.core.edit_answers import EditAnswers
from bfly.core.graphene.answers import GrapheneAnswers
from bfly.core.label_answers import LabelAnswers
from bfly.core.mesh_answers import MeshAnswers
from bfly.core.multires_answers import MultiresAnswers
from bfly.core.proofreading import Proofreading
from bfly.core.property_answers import PropertyAnswers
from bfly.core.segment_answers import SegmentAnswers
from bfly.core.skeleton_answers import SkeletonAnswers
from bfly.core.stateless import Stateless
from bfly.cutouts.cutouts import Cutouts
from bfly.cutouts.passthrough import passed
from bfly.cutouts.plan import check_size
from bfly.cutouts.prefetch import Prefetcher
from bfly.cutouts.stream import WHOLE, CutoutStreams
from bfly.databases.edit_logs import edits_of, opened_annotations
from bfly.errors import NotAllowed, SourceError
from bfly.storage.cache import Cache
from bfly.storage.files import Files
from bfly.storage.lru_cache import LruCache
from bfly.storage.viewer_states import States
from bfly.volumes.stored_layers import offered_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from bfly.cutouts.passthrough import Passed
    from bfly.databases.database import Database
    from bfly.edits.shown import Shown
    from bfly.edits.state import EditState
    from bfly.queries.data import DataQuery
    from bfly.queries.info import InfoQuery
    from bfly.queries.query import Query
    from bfly.queries.tile import TileQuery
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Core"]

log = logging.getLogger(__name__)

LONGEST_KEY = 2048
"""Characters of the longest key of a cached answer: addresses of tiles have some 300 at most."""

NICENESS = 5
"""Niceness of background threads: on a busy core, they get a third of the time of other threads."""


FOR_MESHES = 128 << 20
"""Bytes of tiles that are kept while meshes are made, apart from those of viewers: the voxels of
some cells, whose neighbours need them too."""


LEAST = 128 << 20
"""Bytes: memory of all answers together, even if ``max-cutout-size`` is smaller. Below this,
tiles of a few viewers would wait for each other."""


class Core(Stateless):
    """Answers queries, within a server or without one.

    Parameters
    ----------
    db : Database
        A loaded database. Its ``RUNTIME`` sets the cache's size and the other limits.

    Attributes
    ----------
    _db : Database
        The argument.
    _cache : Cache
        Cache of tiles, of open channels, and of finished answers.
    edits : Edits
        Edits of all channels.
    connectome : Connectome
        Answers requests about neurons and synapses.
    annotations : Annotations
        Answers requests for synapses as annotations.
    drawn : DrawnAnswers
        Answers requests about annotations that people make.
    drawn_collections : DrawnCollections
        Answers requests for them as precomputed annotations.
    labels : LabelAnswers
        Answers requests for facts about labels.
    segments : SegmentAnswers
        Answers requests for segments.
    properties : PropertyAnswers
        Answers requests for the properties of segments.
    meshes : MeshAnswers
        Answers requests for meshes that are computed.
    skeletons : SkeletonAnswers
        Answers requests for skeletons that are computed.
    multires : MultiresAnswers
        Answers requests for meshes of several resolutions.
    graphene : GrapheneAnswers
        Answers requests of graphene clients.
    streams : CutoutStreams
        Streams large cutouts.
    prefetcher : Prefetcher
        Prefetches tiles that viewers are likely to request next.
    states : States
        Stores viewer states.
    background : Workers
        Threads for streams, facts about labels, and prefetching.
    in_pool, in_background : Admission
        Run requests in threads: most of them, and those in the background.
    budget : Budget
        Memory of the answers under way, without streams.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._cache = Cache(db.RUNTIME)
        files = db.RUNTIME.FILES
        largest = db.RUNTIME.IMAGE.CHUNK.VALUE
        self._files = Files(files.ALLOWED.VALUE, disk_cache=files.CACHE.VALUE, max_chunk=largest)
        self.edits = edits_of(db)
        self.connectome = Connectome(db, self.edits, self._cache, self.update_query)
        self.annotations = Annotations(self.connectome)
        drawn = opened_annotations(db)
        self.drawn = DrawnAnswers(drawn, self.edits.count)
        self.drawn_collections = DrawnCollections(drawn, self.update_query)
        self._workers = Workers()
        self.background = Workers(niceness=NICENESS)
        self._channels = Channels(db.RUNTIME, self._cache, self._files, self.edits)
        limit = db.RUNTIME.IMAGE.LIMIT.VALUE
        self._limit = limit
        self._cutouts = Cutouts(self._cache, self._workers, self.background, limit)
        self.segments = SegmentAnswers(
            db.RUNTIME, self._cutouts, self.update_query, self.connectome
        )
        makers = Workers(is_busy=True)
        apart = Cutouts(LruCache(FOR_MESHES), makers, makers, limit, scan=1)
        self.meshes = MeshAnswers(db.RUNTIME, apart, self.update_query, self.segments, makers)
        self.skeletons = SkeletonAnswers(self._cutouts, self.update_query, self.segments)
        self.multires = MultiresAnswers(db.RUNTIME, apart, self.update_query, self.segments)
        self.properties = PropertyAnswers(
            self.update_query, self.connectome, self.segments, self._cache
        )
        self.labels = LabelAnswers(self.update_query, self._cutouts, self.segments.indexed)
        total = max(limit, LEAST)
        self.budget, streams = Budget(total), Budget(2 * total)
        self.in_pool = Admission(self._workers, self.budget)
        self.in_background = Admission(self.background, streams)
        is_current = self._channels.is_current
        self.streams = CutoutStreams(self._cutouts, streams, limit, is_current)
        most = self._cache.max_bytes
        self.prefetcher = Prefetcher(self._cutouts.loader, self.background, most)
        self.states = States(db.RUNTIME.STATES.FOLDER.VALUE)
        self._edited = EditAnswers(self.edits, self._cutouts, limit, self.segments.indexed)
        self.proofreading = Proofreading(
            self.edits, self._cutouts, self.update_query, self.segments, self._edited
        )
        self.graphene = GrapheneAnswers(
            *(self.edits, self._cutouts, self.update_query, self.segments),
            *(self.meshes, self.skeletons, self.proofreading),
        )

    def close(self) -> None:
        """Stop listening for edits of other processes, and close idle files."""
        self.edits.close()
        self._files.close()

    def recall(self, key: str) -> Any:
        """Return a finished answer from the cache, or an empty list."""
        return self._cache.get(key)

    def remember(self, key: str, answer: Any) -> bool:
        """Cache a finished answer with ``nbytes``, its size in bytes, if it is small.

        Returns
        -------
        bool
            Whether it is cached; large answers and those with long keys are not.
        """
        small = answer.nbytes <= WHOLE and len(key) <= LONGEST_KEY
        return small and self._cache.set(key, answer) == 0

    def admit(self, d_query: DataQuery) -> None:
        """Take the memory that the answer to a request for voxels needs.

        Parameters
        ----------
        d_query : DataQuery
            Its source is set.

        Raises
        ------
        TooLarge
            The voxels take more than ``max-cutout-size``.
        Later
            The memory is not free now.
        """
        self._check_size(d_query)
        take(self.budget, d_query.memory)

    def get_data(self, d_query: DataQuery) -> bytes:
        """Answer a request for voxels.

        Parameters
        ----------
        d_query : DataQuery
            Its source need not be set.

        Returns
        -------
        bytes
            The voxels in the query's format.

        Raises
        ------
        TooLarge, SourceError, NotAllowed
            As `find_tiles`.
        """
        return bytes(self.get_buffer(d_query))

    def get_buffer(self, d_query: DataQuery) -> bytes | memoryview:
        """Answer a request for voxels as `get_data` does, without a copy of the answer.

        The server calls this. A memoryview may share its memory with the cache.
        """
        if d_query.known_volume is None:
            # A derived class may find tiles without it.
            d_query.update_source(self.update_query(d_query))
        return self.write_image(d_query, self.find_tiles(d_query))

    def get_stored(self, d_query: DataQuery, codings: Sequence[str]) -> Passed | None:
        """Answer a request for voxels with a stored chunk, if that equals the answer.

        Parameters
        ----------
        d_query : DataQuery
            Its source need not be set.
        codings : sequence of str
            The content codings that the client accepts.

        Returns
        -------
        tuple of (bytes, str), or None
            The answer and its coding; see `bfly.cutouts.passthrough.passed`.

        Raises
        ------
        SourceError, NotAllowed
            As `find_tiles`.
        """
        pass_through = partial(passed, codings=codings)
        return on_current_files(d_query, self.update_query, pass_through)

    def get_info(self, i_query: InfoQuery) -> str:
        """Return information on a channel, as JSON or YAML text.

        With the method ``precompute_info`` it is the ``info`` of the precomputed volume.
        """
        i_query = in_dialect(i_query)
        i_query.update_source(self.update_query(i_query))
        if i_query.wants_neurons:
            i_query.has_neurons = self.connectome.counts(i_query)["neurons"] > 0
        i_query.has_meshes = self.segments.has_segments(i_query.volume)
        # A viewer opens a segmentation: a click on a segment should find the index.
        stored = offered_layers(i_query.volume) if i_query.wants_neurons else {"mesh": ""}
        if i_query.has_meshes and "mesh" not in stored:
            self.segments.prepare(i_query.volume)
        i_query.has_skeletons = self.skeletons.has_skeletons(i_query.volume)
        i_query.has_multires = self.multires.has_job(i_query.volume)
        i_query.segments = self.segments.facts(i_query.volume)
        if i_query.segments:
            i_query.lasting = False  # the index is built while the files stay as they are
        i_query.known = self._usable(i_query)
        return i_query.dump

    def get_edits(self, i_query: InfoQuery, msg: Mapping[str, Any] = MappingProxyType({})) -> str:
        """Return the edits of a channel as the documented JSON, after new ones if any are sent.

        Parameters
        ----------
        i_query : InfoQuery
            Its method is ``websocket:restore``, or ``websocket:save`` to edit first.
        msg : dict
            Edits to save: ``merge``, lists of ids that become one segment each, and ``split``.

        Returns
        -------
        str
            The new state, stored durably; that of an image is empty. ``action`` is ``save`` if
            edits were saved. ``error`` has the reason if one was refused.

        Raises
        ------
        SourceError, NotAllowed, DatabaseError
            The channel or its edits cannot be opened.
        """
        i_query.update_source(self.update_query(i_query))
        return self._edited.answer(i_query, msg)

    def get_dataset(self, i_query: InfoQuery) -> str:
        """Return information on a dataset, as JSON or YAML text.

        With the method ``project_info`` it is the metadata of the NDStore token.
        """
        i_query = in_dialect(i_query)
        return i_query.dump_dataset(self._usable(i_query))

    def _usable(self, i_query: InfoQuery) -> list[InfoQuery]:
        """Return a request, its source set, for each of the query's channels.

        A channel that cannot be opened does not hide the others: it is left out, and logged.
        """
        usable = []
        for channel in map(i_query.set_channel, i_query.channels):
            try:
                channel.update_source(self.update_query(channel))
            except (SourceError, NotAllowed) as error:
                log.warning("%s is left out of its dataset: %s", channel.name, error)
            else:
                usable.append(channel)
        return usable

    def update_query(self, query: Query) -> dict[str, Any]:
        """Return the metadata of a query's source, from the cache or by opening it.

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
        """Return the open volume of a query, and the state of its edits if they apply."""
        return self._channels.basis(query)

    def find_tiles(self, d_query: DataQuery) -> Voxels:
        """Load the requested voxels.

        Parameters
        ----------
        d_query : DataQuery
            Its source need not be set.

        Returns
        -------
        numpy.ndarray
            zyx, the query's shape; zeros outside the volume. Read-only if it is the cached
            tile itself.

        Raises
        ------
        TooLarge
            The voxels would take more than ``max-cutout-size``; nothing was allocated.
        SourceError
            A file cannot be read.
        NotAllowed
            A path is outside ``allowed-paths``.
        """
        return d_query.spread(on_current_files(d_query, self.update_query, self._gather))

    def _gather(self, d_query: DataQuery) -> Voxels:
        self._check_size(d_query)
        return self._cutouts.gather(d_query.region)

    def shown(self, d_query: DataQuery) -> tuple[Shown, ...]:
        """Return what the voxels of a query show of the state of edits; see `Answer.shown`."""
        return self._cutouts.loader(d_query.region).shown(d_query.region)

    def _check_size(self, d_query: DataQuery) -> None:
        check_size(d_query.shape, d_query.resolution, d_query.nbytes, self._limit)

    def find_unique(self, d_query: DataQuery) -> set[Any]:
        """Return the values that occur in the requested voxels, read tile by tile.

        Parameters
        ----------
        d_query : DataQuery
            Its source need not be set. It may be larger than ``max-cutout-size``.

        Returns
        -------
        set
            Exact Python numbers, with 0 if a part is outside the volume.
        """
        return self.labels.unique(d_query)

    def load_tile(self, t_query: TileQuery) -> Voxels:
        """Load the requested part of a tile, from the cache or from disk.

        Parameters
        ----------
        t_query : TileQuery
            See `make_tile_query`.

        Returns
        -------
        numpy.ndarray
            zyx, read-only, clipped to the volume.
        """
        region = t_query.data.region
        return self._cutouts.loader(region).load(region, t_query.index, t_query.crop.slices)
