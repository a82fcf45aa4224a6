"""The documented keywords: ``INPUT``, ``RUNTIME`` and ``OUTPUT``.

Each is a class without arguments; its attributes are named fields. A field has a ``NAME`` (the
word on the wire, in the config or in a file) and a ``VALUE`` (the current value or the default).
It may have lists of allowed words. The fields below it are its attributes, and its items by their
``NAME``: ``RUNTIME().CACHE.MAX`` is ``RUNTIME().CACHE["max-cache-size"]``.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from bfly import registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

__all__ = ["INPUT", "OUTPUT", "RUNTIME", "Field"]

MIB = 1 << 20


class Field:
    """A named field: ``NAME``, ``VALUE``, lists, and the fields below it, all as attributes.

    Parameters
    ----------
    NAME : str
        The word on the wire, in the config or in a file.
    VALUE : object
        The current value, or the default.
    **parts
        Lists of allowed words, and fields.
    """

    def __init__(self, NAME: str = "", VALUE: Any = None, **parts: Any) -> None:  # noqa: N803
        self.NAME = NAME
        self._value = VALUE
        self._bound: tuple[object, str] | None = None
        self.__dict__.update(parts)

    @property
    def VALUE(self) -> Any:  # noqa: N802 - documented name
        """The current value, or the default."""
        return self._value if self._bound is None else getattr(*self._bound)

    @VALUE.setter
    def VALUE(self, value: Any) -> None:  # noqa: N802
        if self._bound is None:
            self._value = value
        else:
            setattr(*self._bound, value)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def _fields(self) -> dict[str, Field]:
        return {part.NAME: part for part in vars(self).values() if isinstance(part, Field)}

    def __getitem__(self, name: str) -> Field:
        return self._fields()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._fields()

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields())

    def __repr__(self) -> str:
        return f"<{self.NAME} = {self.VALUE!r}, {list(self)}>"


class _Words(Field):
    """A documented class of fields; each instance has its own copy of them."""

    def __init__(self) -> None:
        super().__init__(type(self).__name__)
        for name, part in vars(type(self)).items():
            if isinstance(part, Field):
                self.__dict__[name] = deepcopy(part)

    def bind(self, owner: object, attributes: dict[str, str]) -> Self:
        """Bind fields, by dotted path, to attributes of an owner, for reading and writing."""
        for path, attribute in attributes.items():
            field: Field = self
            for name in path.split("."):
                field = getattr(field, name)
            field._bound = (owner, attribute)
        return self


_GROUPS = ["experiments", "samples", "datasets", "channels"]
_IMAGES = ["data", "mask"]
_INFOS = ["channel_metadata", "entity_feature", "precompute_info", "project_info"]
_EDITS = ["websocket:restore", "websocket:save"]
_ON_ID = ["is_neuron", "is_synapse", "neuron_keypoint", "synapse_keypoint", "synapse_parent"]
_IN_BOX = ["synapse_ids", "neuron_children"]
_VIEWS = ["grayscale", "colormap", "rgb"]


class INPUT(_Words):
    """Words of a request."""

    METHODS = Field(
        "method",
        LIST=[*_GROUPS, *_INFOS, *_IMAGES, *_EDITS],
        GROUP_LIST=_GROUPS,
        INFO_LIST=_INFOS,
        IMAGE_LIST=_IMAGES,
        EDIT_LIST=_EDITS,
    )
    GROUP = Field(
        "group",
        LIST=["experiment", "sample", "dataset", "channel"],
        EXPERIMENT=Field("experiment"),
        SAMPLE=Field("sample"),
        DATASET=Field("dataset"),
        CHANNEL=Field("channel"),
    )
    FEATURES = Field(
        "feature",
        LIST=[*_ON_ID, *_IN_BOX, "all_neurons"],
        ID_LIST=_ON_ID,
        BOX_LIST=_IN_BOX,
        LABEL_LIST=["all_neurons"],
    )
    POSITION = Field(
        "position",
        X=Field("x", VALUE=0),
        Y=Field("y", VALUE=0),
        Z=Field("z", VALUE=0),
        WIDTH=Field("width", VALUE=1),
        HEIGHT=Field("height", VALUE=1),
        DEPTH=Field("depth", VALUE=1),
    )
    RESOLUTION = Field("resolution", XY=Field("resolution", VALUE=0))
    INFO = Field(
        "info",
        FORMAT=Field("format", VALUE="json", LIST=["json", "yaml"]),
        ID=Field("id"),
    )
    IMAGE = Field(
        "image",
        FORMAT=Field("format", VALUE="png", LIST=list(registry.ENCODERS)),
        VIEW=Field("view", VALUE="grayscale", LIST=_VIEWS),
        OFFSET=Field("offset", VALUE=[0, 0, 0]),
    )


class RUNTIME(_Words):
    """Settings of the running program, and the words of its tables and files."""

    TILE = Field("tile", ZYX=Field("zyx"), KJI=Field("kji"), SCALES=Field("scales"))
    IMAGE = Field(
        "image",
        SOURCE=Field(
            "source-type",
            LIST=list(registry.SOURCES),
            HDF5=Field(
                "hdf5",
                OUTER=Field("filename"),
                INNER=Field("dataset-path", VALUE="main"),
                OFF=Field("z-offset", VALUE=0),
            ),
        ),
        BLOCK=Field("block-size"),
        MERGE=Field("merge", VALUE=[]),
        SPLIT=Field("split", VALUE=[]),
        ERROR=Field("error", VALUE=""),
        LIMIT=Field("max-cutout-size", VALUE=512 * MIB),
        CHUNK=Field("max-chunk-size", VALUE=1024 * MIB),
    )
    CACHE = Field(
        "cache",
        META=Field("meta-size", VALUE=4096),
        MAX=Field("max-cache-size", VALUE=1024 * MIB),
        MAX_BLOCK=Field("max-block-size", VALUE=1 * MIB),
    )
    PYRAMID = Field("pyramid", FOLDER=Field("folder"), SIZE=Field("size", VALUE=0))
    STATES = Field("states", FOLDER=Field("folder", VALUE="bfly-states"))
    FEATURES = Field(
        "features",
        LINKS=Field(
            "links",
            ID=Field("synapse_id"),
            PRE=Field("synapse_parent_pre"),
            POST=Field("synapse_parent_post"),
        ),
    )
    FILES = Field(
        "files",
        ALLOWED=Field("allowed-paths", VALUE=["/"]),
        CACHE=Field("disk-cache", VALUE=None),
    )
    DB = Field(
        "db",
        UPDATE=Field("db-update", VALUE=False),
        PORT=Field("db-port", VALUE=None),
        EDIT=Field("edit-path", VALUE=None),
        JOIN=Field("{}://{}"),
        TABLE=Field(
            "table",
            LIST=["neuron", "synapse"],
            ALL=Field("all", POINT_LIST=["z", "y", "x"]),
            NEURON=Field("neuron", KEY=Field("neuron"), FULL_LIST=["neuron", "z", "y", "x"]),
            SYNAPSE=Field(
                "synapse",
                KEY=Field("__id"),
                NEURON_LIST=["n1", "n2"],
                FULL_LIST=["__id", "n1", "n2", "z", "y", "x"],
            ),
        ),
        FILE=Field(
            "file",
            SYNAPSE=Field(
                "synapse-connections",
                DEFAULT="synapse-connections.json",
                NEURON_LIST=["neuron_1", "neuron_2"],
                POINT=Field("synapse_center", LIST=["z", "y", "x"]),
            ),
            SOMA=Field("neuron-soma", DEFAULT="neuron-soma.json"),
            CONFIG=Field(
                "bfly",
                GROUP_LIST=["experiments", "samples", "datasets", "channels"],
                PATH=Field("path"),
                DPATH=Field("dpath"),
            ),
        ),
    )


class OUTPUT(_Words):
    """Words of an answer."""

    INFO = Field(
        "info",
        CHANNELS=Field("channels", VALUE=[]),
        DATASET=Field("dataset"),
        CHANNEL=Field("name"),
        QUERY=Field("method"),
        NAMES=Field("list", VALUE=[]),
        PATH=Field("path"),
        TYPE=Field("data-type"),
        SIZE=Field("dimensions", X=Field("x"), Y=Field("y"), Z=Field("z")),
    )
