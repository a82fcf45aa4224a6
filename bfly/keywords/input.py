"""``INPUT``: the words of a request."""

from __future__ import annotations

from bfly import registry
from bfly.keywords.structures import NamedStruct, NamelessStruct, Words

__all__ = ["INPUT"]

_GROUPS = ["experiments", "samples", "datasets", "channels"]
_IMAGES = ["data", "mask"]
_INFOS = ["channel_metadata", "entity_feature", "precompute_info", "project_info"]
_EDITS = ["websocket:restore", "websocket:save"]
_ON_ID = ["is_neuron", "is_synapse", "neuron_keypoint", "synapse_keypoint", "synapse_parent"]
_OF_NEURONS = ["neuron_keypoint", "all_neurons", "is_neuron"]
_OF_SYNAPSES = [
    "synapse_keypoint",
    "neuron_children",
    "synapse_parent",
    "synapse_ids",
    "is_synapse",
]


class INPUT(Words):
    """Words of a request."""

    METHODS = NamedStruct(
        "method",
        LIST=[*_GROUPS, *_INFOS, *_IMAGES, *_EDITS],
        GROUP_LIST=_GROUPS,
        INFO_LIST=_INFOS,
        IMAGE_LIST=_IMAGES,
        EDIT_LIST=_EDITS,
        WEBSOCKET=NamedStruct("websocket"),
        META=NamedStruct("channel_metadata"),
        PRE=NamedStruct("precompute_info"),
        FEAT=NamedStruct("entity_feature"),
    )
    GROUP = NamedStruct(
        "name",
        EXPERIMENT=NamedStruct("experiment"),
        SAMPLE=NamedStruct("sample"),
        DATASET=NamedStruct("dataset"),
        CHANNEL=NamedStruct("channel"),
    )
    FEATURES = NamedStruct(
        "feature",
        LIST=[*_ON_ID, "synapse_ids", "neuron_children", "all_neurons"],
        TABLES=NamelessStruct(
            NEURON=NamedStruct("neuron", LIST=_OF_NEURONS),
            SYNAPSE=NamedStruct("synapse", LIST=_OF_SYNAPSES),
        ),
        ID_LIST=_ON_ID,
        ID_BOX_LIST=["neuron_children"],
        BOX_LIST=["synapse_ids"],
        STATIC_LIST=["all_neurons"],
        SYNAPSE_LINKS=NamedStruct("synapse_parent"),
        NEURON_CHILDREN=NamedStruct("neuron_children"),
        POINT_LIST=["synapse_keypoint", "neuron_keypoint"],
        LINK_LIST=["synapse_parent", "neuron_children"],
        BOOL_LIST=["is_synapse", "is_neuron"],
        LABEL_LIST=["synapse_ids"],
    )
    POSITION = NamelessStruct(
        LIST=["z", "y", "x", "depth", "height", "width"],
        X=NamedStruct("x", VALUE=0),
        Y=NamedStruct("y", VALUE=0),
        Z=NamedStruct("z", VALUE=0),
        WIDTH=NamedStruct("width", VALUE=1),
        HEIGHT=NamedStruct("height", VALUE=1),
        DEPTH=NamedStruct("depth", VALUE=1),
    )
    RESOLUTION = NamelessStruct(
        XY=NamedStruct("resolution", VALUE=0),
        X=NamedStruct("x-res"),
        Y=NamedStruct("y-res"),
        Z=NamedStruct("z-res"),
    )
    INFO = NamelessStruct(
        FORMAT=NamedStruct("format", VALUE="json", LIST=["json", "yaml"]),
        ID=NamedStruct("id"),
    )
    IMAGE = NamelessStruct(
        FORMAT=NamedStruct(
            "format",
            VALUE="png",
            LIST=list(registry.ENCODERS),
            COLOR_LIST=["png", "jpg", "jpeg", "bmp"],
            VOL_LIST=["npz"],
            TIF_LIST=["tif", "tiff"],
            ZIP_LIST=["zip"],
        ),
        VIEW=NamedStruct(
            "view",
            VALUE="grayscale",
            GRAY=NamedStruct("grayscale"),
            COLOR=NamedStruct("colormap"),
            RGB=NamedStruct("rgb"),
        ),
        OFFSET=NamedStruct("offset", VALUE=[0, 0, 0]),
    )
