"""Butterfly's own REST API: names, metadata of channels, cutouts, neurons and synapses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import (
    Absent,
    Busy,
    ButterflyError,
    DatabaseError,
    MissingLibrary,
    NotAllowed,
    SourceError,
    TooLarge,
)
from bfly.keywords import INPUT
from bfly.protocols.protocol import Protocol, channel_words, labelled_words, named
from bfly.queries.data import DataQuery
from bfly.queries.feature import BOX, FeatureQuery, MatrixQuery, RowsQuery
from bfly.queries.info import InfoQuery
from bfly.queries.mesh_file import MeshFileQuery
from bfly.queries.segments import SegmentsQuery, SparseVolumeQuery
from bfly.queries.skeleton import NodesQuery, SkeletonQuery
from bfly.validation import one_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.config.tree import Channel, Dataset, Experiment, Sample
    from bfly.queries.query import Query

__all__ = ["API", "METHODS", "Method"]

GROUP: tuple[str, ...] = tuple(INPUT.GROUP.LIST)
"""Parameters that name a channel, from the experiment down."""

DATASET = GROUP[:3]

_STATE = ("labels", "state")

_BOXED = (*BOX, "resolution", *_STATE)

_OF_CHANNELS = (Absent, MissingLibrary, NotAllowed, SourceError)
_OF_ROWS = (Absent, DatabaseError, MissingLibrary)


@dataclass(frozen=True)
class Method:
    """One method of ``/api``.

    Parameters
    ----------
    query : type of Query
        Class of its queries, which defines the allowed values of words.
    summary : str
        Title in the documentation.
    needed, optional : tuple of str
        Parameters: names of `GROUP`, or words of the query.
    errors : tuple of type
        Possible errors besides `BadRequest`.
    """

    query: type[Query]
    summary: str
    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ("format",)
    errors: tuple[type[ButterflyError], ...] = ()

    def words(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return the words of the query from the parameters.

        A needed word that is missing is None, which the query refuses. Empty optional ones are
        left out.
        """
        needed = {name: parameters.get(name) for name in self.needed}
        given = {name: parameters[name] for name in self.optional if parameters.get(name)}
        return {name: word for name, word in {**needed, **given}.items() if name not in GROUP}


_CUTOUT = Method(
    DataQuery,
    "A cutout of a channel",
    (*GROUP, "x", "y", "z", "width", "height"),
    ("depth", "resolution", "format", "view", *_STATE),
    (*_OF_CHANNELS, TooLarge),
)

METHODS: dict[str, Method] = {
    **{
        method: Method(InfoQuery, f"Names of {method}", GROUP[:depth])
        for depth, method in enumerate(INPUT.METHODS.GROUP_LIST)
    },
    "channel_metadata": Method(InfoQuery, "Metadata of a channel", GROUP, errors=_OF_CHANNELS),
    "entity_feature": Method(
        FeatureQuery,
        "A fact about neurons and synapses",
        (*DATASET, "feature"),
        ("channel", "id", *_BOXED, "ids", "format"),
        _OF_ROWS,
    ),
    "synapses": Method(
        RowsQuery,
        "Synapses, one row each",
        DATASET,
        (*("channel", "neuron", "pre", "post", "skeleton"), *_BOXED, "ids", "format"),
        (*_OF_CHANNELS, Busy, DatabaseError, TooLarge),
    ),
    "neurons": Method(
        RowsQuery,
        "Neurons, one row each",
        DATASET,
        ("channel", *_STATE, "ids", "format"),
        _OF_ROWS,
    ),
    "partners": Method(
        RowsQuery,
        "Presynaptic and postsynaptic partners of a neuron",
        (*DATASET, "id"),
        ("channel", *_STATE, "ids", "format"),
        _OF_ROWS,
    ),
    "connectivity": Method(
        MatrixQuery,
        "Matrix of synapse counts between neurons",
        (*DATASET, "ids"),
        ("channel", *_STATE, "format"),
        _OF_ROWS,
    ),
    "segments": Method(
        SegmentsQuery,
        "Segments of a channel, one row each",
        GROUP,
        ("ids", "search", "sort", "start", "count", *_STATE, "format"),
        (*_OF_CHANNELS, Busy, DatabaseError, TooLarge),
    ),
    "sparsevol": Method(
        SparseVolumeQuery,
        "Voxels of a segment, as runs along x",
        (*GROUP, "id"),
        ("resolution", *_STATE, "format"),
        (*_OF_CHANNELS, Busy, DatabaseError, TooLarge),
    ),
    "mesh": Method(
        MeshFileQuery,
        "Mesh of a segment as a file",
        (*GROUP, "id"),
        ("mip", *_STATE, "format"),
        (*_OF_CHANNELS, Busy, DatabaseError, TooLarge),
    ),
    "skeleton": Method(
        SkeletonQuery,
        "Skeleton of a segment",
        (*GROUP, "id"),
        (*_STATE, "format"),
        (*_OF_CHANNELS, Busy, DatabaseError, TooLarge),
    ),
    **dict.fromkeys(INPUT.METHODS.IMAGE_LIST, _CUTOUT),
}
"""Methods by the last part of their address."""

OF_SEGMENTS = (MeshFileQuery, SegmentsQuery, SkeletonQuery, SparseVolumeQuery)
"""Queries that follow the edits of their own channel."""


class API(Protocol):
    """``/api/{method}?experiment=…``."""

    prefixes: ClassVar[tuple[str, ...]] = ("api",)

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        name = path.strip("/")
        method = METHODS[one_of("method", name, METHODS)]
        if name in INPUT.METHODS.GROUP_LIST:
            words = method.words(parameters)
            return InfoQuery(method=name, list=self._names(method, parameters), **words)
        if issubclass(method.query, RowsQuery):
            words = {**self._tables(parameters), **method.words(parameters)}
            if words.get("skeleton"):
                return NodesQuery(channel_words(self._channel(parameters)), rows=name, **words)
            return method.query(rows=name, **words)
        if method.query is FeatureQuery:
            return self._feature_info(method, parameters)
        channel = self._channel(parameters)
        about: dict[str, Any] = {**channel_words(channel), **method.words(parameters)}
        if method.query is DataQuery:
            return DataQuery(method=name, **about)
        if method.query in OF_SEGMENTS:
            return method.query(name=channel.name, labelled=(channel.path,), **about)
        return InfoQuery(method=name, name=channel.name, **about)

    def _names(self, method: Method, parameters: Mapping[str, str]) -> list[str]:
        """List the names one level below the group that the parameters name."""
        config = self.config
        items: Sequence[Experiment | Sample | Dataset | Channel]
        match [named(parameters, name) for name in method.needed]:
            case []:
                items = config.experiments
            case [experiment]:
                items = config.experiment(experiment).samples
            case [experiment, sample]:
                items = config.sample(experiment, sample).datasets
            case above:
                items = config.dataset(*above).channels
        return [item.name for item in items]

    def _feature_info(self, method: Method, parameters: Mapping[str, str]) -> FeatureQuery:
        """Return the query of a fact about neurons and synapses."""
        return FeatureQuery(**self._tables(parameters), **method.words(parameters))

    def _tables(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return the words that select tables: a channel's, or a dataset's without a channel."""
        if parameters.get("channel"):
            channel = self._channel(parameters)
            return {**channel_words(channel), "labelled": (channel.path,)}
        experiment, sample, dataset = (named(parameters, name) for name in DATASET)
        group = self.config.dataset(experiment, sample, dataset)
        return {"path": group.path, **labelled_words(group)}

    def _channel(self, parameters: Mapping[str, str]) -> Channel:
        """Find a channel. An error names the first wrong or missing parameter."""
        names: list[str] = [parameters.get(name, "") for name in GROUP]
        for name in GROUP:
            if name not in parameters:
                self.config.find(*names)
        return self.config.find(*names)
