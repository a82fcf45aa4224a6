"""``OUTPUT``: the words of an answer."""

from __future__ import annotations

from bfly.keywords.structures import NamedStruct, NamelessStruct, Words

__all__ = ["OUTPUT"]


class OUTPUT(Words):
    """Words of an answer."""

    INFO = NamelessStruct(
        CHANNELS=NamedStruct("channels", VALUE=[]),
        DATASET=NamedStruct("dataset"),
        CHANNEL=NamedStruct("name"),
        QUERY=NamedStruct("query"),
        NAMES=NamedStruct("list", VALUE=[]),
        PATH=NamedStruct("path"),
        TYPE=NamedStruct(
            "data-type",
            RAW_LIST=["uint8", "float32"],
            ID_LIST=["uint16", "int16", "uint32", "int32", "uint64", "int64"],
        ),
        SIZE=NamedStruct("dimensions", X=NamedStruct("x"), Y=NamedStruct("y"), Z=NamedStruct("z")),
    )
