"""Requests for text about channels: lists of names, metadata, the infos of protocols."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import yaml
from typing_extensions import override

from bfly.keywords import INPUT
from bfly.queries.query import Query
from bfly.validation import OneOf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bfly.validation import Allowed

__all__ = ["InfoQuery", "WordsQuery"]


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
        A keyword is unknown, or its value is not allowed.
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
        "method": OneOf(lambda: INPUT.METHODS.LIST),
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
        if self.method in INPUT.METHODS.GROUP_LIST:
            return list(self.names)
        if self.method in INPUT.METHODS.EDIT_LIST:
            saved = self.method == "websocket:save" and not self.error
            edits = {"merge": self.merge, "split": self.split, "error": self.error}
            return {"action": "save" if saved else "restore", **edits}
        return {
            "name": self.name,
            "path": self.path,
            "source-type": self.source_type,
            "data-type": self.data_type,
            "dimensions": self.dimensions,
            "voxel-size": self.stated_voxel_size,
            "voxel-size-source": self.voxel_size_source,
        }

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
