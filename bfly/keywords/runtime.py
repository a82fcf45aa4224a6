"""``RUNTIME``: settings of the running program, and the words of its tables and files."""

from __future__ import annotations

from bfly import registry
from bfly.keywords.input import INPUT
from bfly.keywords.structures import NamedStruct, NamelessStruct, Words

__all__ = ["MIB", "RUNTIME"]

MIB = 1 << 20


class RUNTIME(Words):
    """Settings of the running program, and the words of its tables and files."""

    TILE = NamelessStruct(
        ZYX=NamedStruct("zyx"), KJI=NamedStruct("kji"), SCALES=NamedStruct("scales")
    )
    IMAGE = NamelessStruct(
        SOURCE=NamedStruct(
            "source-type",
            LIST=list(registry.SOURCES),
            HDF5=NamedStruct(
                "hdf5",
                OFF=NamedStruct("z-offset", VALUE=0),
                OUTER=NamedStruct("filename"),
                INNER=NamedStruct("dataset-path", VALUE="main"),
            ),
            MOJO=NamedStruct(
                "mojo", FORMAT=NamedStruct("format", VALUE="jpg", H5_LIST=["h5", "hdf5"])
            ),
            BOSS=NamedStruct(
                "boss",
                PATHS=NamedStruct("tiff-paths", VALUE={}),
                ALL="tiles",
                PATH="location",
                ZYX=["z", "row", "column"],
                INFO=NamedStruct(
                    "ingest_job",
                    BLOCK=NamedStruct("tile_size", ZYX=["z", "y", "x"]),
                    EXTENT=NamedStruct("extent", ZYX=["z", "y", "x"]),
                    START=NamedStruct("tile_origin", VALUE=[0, 0, 0], ZYX=["z", "row", "column"]),
                ),
            ),
        ),
        BLOCK=NamedStruct("block-size"),
        MERGE=NamedStruct("merge", VALUE=[]),
        SPLIT=NamedStruct("split", VALUE=[]),
        ERROR=NamedStruct("error", VALUE=""),
        LIMIT=NamedStruct("max-cutout-size", VALUE=512 * MIB),
        CHUNK=NamedStruct("max-chunk-size", VALUE=1024 * MIB),
    )
    CACHE = NamelessStruct(
        META=NamedStruct("meta-size", VALUE=4096),
        MAX=NamedStruct("max-cache-size", VALUE=1024 * MIB),
        MAX_BLOCK=NamedStruct("max-block-size", VALUE=1 * MIB),
    )
    PYRAMID = NamelessStruct(FOLDER=NamedStruct("folder"), SIZE=NamedStruct("size", VALUE=0))
    STATES = NamelessStruct(FOLDER=NamedStruct("folder", VALUE="bfly-states"))
    FEATURES = NamelessStruct(
        LINKS=NamelessStruct(
            ID=NamedStruct("synapse_id"),
            PRE=NamedStruct("synapse_parent_pre"),
            POST=NamedStruct("synapse_parent_post"),
        )
    )
    FILES = NamelessStruct(
        ALLOWED=NamedStruct("allowed-paths", VALUE=["/"]),
        CACHE=NamedStruct("disk-cache"),
    )
    DB = NamelessStruct(
        UPDATE=NamedStruct("update", VALUE=False),
        PORT=NamedStruct("port"),
        EDIT=NamedStruct("edit-path"),
        JOIN=NamedStruct("{}://{}"),
        TABLE=NamelessStruct(
            LIST=["neuron", "synapse"],
            ALL=NamelessStruct(POINT_LIST=["z", "y", "x"]),
            NEURON=NamedStruct(
                "neuron", KEY=NamedStruct("neuron"), FULL_LIST=["neuron", "z", "y", "x"]
            ),
            SYNAPSE=NamedStruct(
                "synapse",
                KEY=NamedStruct("__id"),
                YX=NamedStruct("yx"),
                NEURON_LIST=["n1", "n2"],
                FULL_LIST=["__id", "n1", "n2", "z", "y", "x"],
            ),
        ),
        FILE=NamelessStruct(
            SYNAPSE=NamedStruct(
                "synapse-connections",
                DEFAULT="synapse-connections.json",
                NEURON_LIST=["neuron_1", "neuron_2"],
                POINT=NamedStruct("synapse_center", LIST=["z", "y", "x"]),
            ),
            SOMA=NamedStruct("neuron-soma", DEFAULT="neuron-soma.json"),
            DB_LIST=["synapse-connections", "neuron-soma"],
            CONFIG=NamedStruct(
                "rh-config",
                ROOT=NamedStruct("bfly"),
                GROUP_LIST=INPUT.METHODS.GROUP_LIST,
                PATH=NamedStruct("path"),
                DPATH=NamedStruct("dpath"),
            ),
        ),
    )
