"""Requests for text about channels: lists of names, metadata, the infos of protocols."""

from __future__ import annotations

import json
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import yaml
from typing_extensions import override

from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.message import Save, to_message
from bfly.errors import BadRequest
from bfly.keywords import INPUT
from bfly.queries.query import Query
from bfly.validation import OneOf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bfly.validation import Allowed

__all__ = ["InfoQuery", "WordsQuery"]

METHODS = [name for name in INPUT.METHODS.LIST if name != INPUT.METHODS.WEBSOCKET.NAME]
"""Methods of queries; those of websockets have an action behind their name."""


class InfoQuery(Query):
    """A request for information.

    Parameters
    ----------
    **keywords
        Those of `Query`, and ``name`` (the channel), ``list`` (names to list), ``channels``
        (of a dataset: a list of dictionaries of keywords), ``dataset``, ``id``, ``feature``,
        ``format``. For neurons and synapses, ``labelled`` has the paths of channels, of which
        one may have edits that apply. For edits, ``merge``, ``split`` and ``error`` are parts of
        the answer, ``who`` is the user, and ``base`` the last operation that the user has seen.

    Raises
    ------
    BadRequest
        The value of a keyword is not allowed.
    """

    WORDS: ClassVar[dict[str, str]] = {
        **Query.WORDS,
        "name": "name",
        "list": "names",
        "channels": "channels",
        "dataset": "dataset",
        "id": "id",
        "feature": "feature",
        "format": "format",
        **{word: word for word in ("labelled", "merge", "split", "error", "who", "base")},
    }
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **Query.ALLOWED,
        "method": OneOf(lambda: METHODS),
        "format": OneOf(lambda: INPUT.INFO.FORMAT.LIST, "how the answer is written"),
    }
    _INPUT: ClassVar[dict[str, str]] = {
        **Query._INPUT,
        "INFO.FORMAT": "format",
        "INFO.ID": "id",
        "FEATURES": "feature",
    }
    _RUNTIME: ClassVar[dict[str, str]] = {
        **Query._RUNTIME,
        "IMAGE.MERGE": "merge",
        "IMAGE.SPLIT": "split",
        "IMAGE.ERROR": "error",
    }
    _OUTPUT: ClassVar[dict[str, str]] = {
        **Query._OUTPUT,
        "INFO.CHANNEL": "name",
        "INFO.NAMES": "names",
        "INFO.CHANNELS": "channels",
        "INFO.DATASET": "dataset",
    }

    method = "channel_metadata"
    name = ""
    names: list[str] = []  # noqa: RUF012 - replaced, never changed
    channels: list[dict[str, Any]] = []  # noqa: RUF012
    dataset = ""
    id: int | None = None
    feature = ""
    format = "json"
    wants_neurons = False
    """Whether the answer depends on `has_neurons`, so that the database is queried."""
    has_neurons = False
    has_meshes = False
    """Whether meshes of the channel can be computed; set by the core."""
    has_skeletons = False
    """Whether skeletons of the channel can be computed; set by the core."""
    has_multires = False
    """Whether a job has made meshes of several resolutions; set by the core."""
    segments: dict[str, Any] | None = None
    """What there is of the channel's segments (see `SegmentAnswers.facts`); set by the core."""
    known: list[InfoQuery] = []  # noqa: RUF012
    """Requests, sources set, for those of `channels` that can be used; set by the core."""
    labelled: tuple[str, ...] = ()
    merge: list[list[str]] = []  # noqa: RUF012
    split: list[str] = []  # noqa: RUF012
    error = ""
    who = ""
    base: int | None = None

    def set_channel(self, channel: dict[str, Any]) -> InfoQuery:
        """Return the same request for one channel of the dataset.

        Parameters
        ----------
        channel : dict
            The keywords of the channel: ``name``, ``path`` and its other settings.
        """
        return InfoQuery(**{"method": self.method, "format": self.format, **channel})

    @property
    def result(self) -> Any:
        """The answer as a value to dump; for a channel, available after `update_source`."""
        if self.is_group:
            return list(self.names)
        if self.is_websocket:
            saved = self.method == "websocket:save" and not self.error
            return self.websocket_result("save" if saved else "restore")
        return {
            "name": self.name,
            "path": self.path,
            "source-type": self.source_type,
            "data-type": self.data_type,
            "dimensions": self.dimensions,
            "voxel-size": self.stated_voxel_size,
            "voxel-size-source": self.voxel_size_source,
            **({"segments": self.segments} if self.segments else {}),
        }

    def websocket_result(self, action: str) -> dict[str, Any]:
        """Return the edits of the channel as a message of this action."""
        return {"action": action, "merge": self.merge, "split": self.split, "error": self.error}

    def websocket_edit(self, msg: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """Apply a message to the edits in this query, if its method is ``websocket:save``.

        `Core.get_edits` also stores them.

        Parameters
        ----------
        msg : dict
            Its ``merge`` and ``split``, as `Core.get_edits` takes them.

        Returns
        -------
        dict
            What it changed: ``merge``, ``split`` and ``error``, or nothing.
        """
        if self.method != "websocket:save":
            return {}
        edits = ChannelEdits(self.path, MemoryLog())
        try:
            for message in ({"merge": self.merge, "split": self.split}, msg):
                operations = Save.parse(message).operations
                state = edits.append(partial(operations, who=self.who, base=None))
            self.merge, self.split = to_message(state)
        except BadRequest as error:
            self.error = str(error)
        return {"merge": self.merge, "split": self.split, "error": self.error}

    @property
    def get_format(self) -> int:
        """Position of the format among those of answers."""
        index: int = INPUT.INFO.FORMAT.LIST.index(self.format)
        return index

    @property
    def dump(self) -> str:
        """The answer in the requested format."""
        return self._text(self.result)

    def dump_dataset(self, all_channels: Iterable[InfoQuery]) -> str:
        """Return the answer for a dataset in the requested format.

        Parameters
        ----------
        all_channels : iterable of InfoQuery
            A request for each channel, after `update_source`.
        """
        channels = {channel.name: channel.result for channel in all_channels}
        return self._text({"name": self.dataset, "channels": channels})

    def _text(self, answer: Any) -> str:
        if self.format == "yaml":
            return yaml.safe_dump(answer, sort_keys=False)
        return json.dumps(answer)

    @property
    def mime_type(self) -> str:
        """Media type of the answer."""
        return f"application/{self.format}"


class WordsQuery(InfoQuery):
    """A request that the configuration answers.

    Parameters
    ----------
    words : object
        The answer.
    """

    def __init__(self, words: Any) -> None:
        super().__init__(method="channels")
        self._words = words

    @property
    @override
    def result(self) -> Any:
        return self._words
