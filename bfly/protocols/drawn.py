"""Annotations that people make: ``/api/annotations``, and as precomputed below a channel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.errors import Absent
from bfly.protocols.actions import ActionsAPI
from bfly.protocols.api import DATASET
from bfly.protocols.protocol import dataset_named
from bfly.queries.annotation_actions import ANNOTATION_ACTIONS
from bfly.queries.drawn import CollectionQuery, DrawnQuery
from bfly.validation import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config
    from bfly.config.tree import Dataset
    from bfly.queries.edit_actions import Action

__all__ = ["COLLECTIONS", "AnnotationsAPI", "collection_query"]

COLLECTIONS = {"points": "point", "lines": "line", "boxes": "box"}
"""Type of the annotations of each collection, ``annotations-points`` below a channel."""

_FILE = re.compile(
    rf"annotations-(?P<name>{'|'.join(COLLECTIONS)})/"
    r"(?:(?P<info>info)|by_id/(?P<id>0|[1-9][0-9]{0,19})|(?P<spatial>spatial0/0_0_0))"
)


class AnnotationsAPI(ActionsAPI):
    """``/api/annotations/{address of a dataset}/{action}``."""

    prefixes: ClassVar[tuple[str, ...]] = ("api/annotations",)
    largest_body: ClassVar[int] = 32 << 20
    name: ClassVar[str] = "annotations"
    actions: ClassVar[Mapping[str, Action]] = ANNOTATION_ACTIONS
    group: ClassVar[tuple[str, ...]] = DATASET

    @staticmethod
    @override
    def asked(config: Config, path: str, words: Mapping[str, Any]) -> DrawnQuery:
        address, _, action = path.strip("/").rpartition("/")
        token = config.addresses.former_dataset(address)
        if token is None:
            raise Absent(
                f"There is no dataset at {address or '/'}; an address is "
                f"EXPERIMENT/SAMPLE/DATASET, and one of {', '.join(ANNOTATION_ACTIONS)} follows."
            )
        dataset = dataset_named(config, token)
        action = AnnotationsAPI.checked(action)
        return DrawnQuery(path=dataset.path, action=action, asked=words, store=_store(dataset))


def collection_query(
    config: Config, path: str, rest: str, words: Mapping[str, Any]
) -> CollectionQuery | None:
    """Return the query of a path below a channel; None if the path is not one of a collection.

    Parameters
    ----------
    config : Config
        The served channels.
    path : str
        The path, with a former address.
    rest : str
        The path below the channel.
    words : mapping
        Words of the channel's queries.

    Raises
    ------
    BadRequest
        An id has more than 63 bits.
    """
    file = _FILE.fullmatch(rest)
    if file is None:
        return None
    store = _store(dataset_named(config, path.partition("/")[0]))
    about = {**words, "type": COLLECTIONS[file["name"]], "store": store}
    if file["id"]:
        return CollectionQuery(part="by_id", id=whole_number("id", file["id"], 0), **about)
    return CollectionQuery(part="info" if file["info"] else "spatial", **about)


def _store(dataset: Dataset) -> str:
    """Return the name of a dataset in the store: several may have the same path."""
    return f"{dataset.path}\n{dataset.name}"
