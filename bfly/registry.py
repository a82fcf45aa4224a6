"""Plug-ins by name: one table per kind, imported on first use, open to third parties.

Each kind of plug-in has a sorted table here, from a name to ``module:Class``. Other packages
add plug-ins with an entry point in the group ``bfly.<kind>``.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from bfly.errors import MissingLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["DATABASES", "ENCODERS", "PROTOCOLS", "SOURCES", "find", "load", "names", "needed"]

log = logging.getLogger(__name__)

SOURCES = {
    "bdv": "bfly.sources.bdv.source:BigDataViewer",
    "boss": "bfly.sources.boss:BossGrid",
    "hdf5": "bfly.sources.hdf5.source:HDF5",
    "imaris": "bfly.sources.imaris.source:Imaris",
    "knossos": "bfly.sources.knossos.source:Knossos",
    "mojo": "bfly.sources.mojo:Mojo",
    "mrc": "bfly.sources.mrc:Mrc",
    "n5": "bfly.sources.n5.source:N5",
    "nifti": "bfly.sources.nifti:Nifti",
    "npy": "bfly.sources.npy:Npy",
    "npz": "bfly.sources.npz:Npz",
    "nrrd": "bfly.sources.nrrd:Nrrd",
    "precomputed": "bfly.sources.precomputed.source:Precomputed",
    "stack": "bfly.sources.stack:ImageStack",
    "tiff": "bfly.sources.tiff.source:Tiff",
    "tilespecs": "bfly.sources.tilespecs.source:TileSpecs",
    "webknossos": "bfly.sources.webknossos.source:WebKnossos",
    "wkw": "bfly.sources.wkw.source:Wkw",
    "zarr": "bfly.sources.zarr.source:Zarr",
}

ENCODERS = {
    "blosc": "bfly.encoders.blosc:Blosc",
    "bmp": "bfly.encoders.bmp:Bmp",
    "compressed_segmentation": "bfly.encoders.compressed_segmentation:CompressedSegmentation",
    "gzip": "bfly.encoders.gzip:Gzip",
    "hdf5": "bfly.encoders.hdf5:Hdf5",
    "jpeg": "bfly.encoders.jpeg:Jpeg",
    "jpg": "bfly.encoders.jpeg:Jpeg",
    "lz4": "bfly.encoders.lz4:Lz4",
    "n5": "bfly.encoders.n5:N5Block",
    "npy": "bfly.encoders.npy:Npy",
    "npygz": "bfly.encoders.npygz:Npygz",
    "npz": "bfly.encoders.npz:Npz",
    "png": "bfly.encoders.png:Png",
    "raw": "bfly.encoders.raw:Raw",
    "tif": "bfly.encoders.tiff:Tiff",
    "tiff": "bfly.encoders.tiff:Tiff",
    "tiff-stack": "bfly.encoders.tiff:TiffStack",
    "webp": "bfly.encoders.webp:WebP",
    "zip": "bfly.encoders.zip:Zip",
    "zstd": "bfly.encoders.zstd:Zstd",
}

PROTOCOLS = {
    "annotations": "bfly.protocols.drawn:AnnotationsAPI",
    "api": "bfly.protocols.api:API",
    "assets": "bfly.protocols.pages:Assets",
    "bossdb": "bfly.protocols.boss:BossDB",
    "browse": "bfly.protocols.browse:Browse",
    "dvid": "bfly.protocols.dvid:Dvid",
    "edits": "bfly.protocols.edits:EditsAPI",
    "first-viewer": "bfly.protocols.pages:FirstViewer",
    "graphene": "bfly.protocols.graphene:Graphene",
    "health": "bfly.protocols.pages:Health",
    "icon": "bfly.protocols.pages:Icon",
    "index": "bfly.protocols.pages:Index",
    "index-file": "bfly.protocols.pages:IndexFile",
    "knossos": "bfly.protocols.knossos:Knossos",
    "metrics": "bfly.protocols.metrics:Metrics",
    "n5": "bfly.protocols.n5:N5",
    "ndstore": "bfly.protocols.ndstore:NDStore",
    "neuroglancer": "bfly.protocols.pages:Neuroglancer",
    "neuron": "bfly.protocols.pages:Neuron",
    "openapi": "bfly.protocols.openapi:OpenAPI",
    "precomputed": "bfly.protocols.precomputed:Precomputed",
    "sections": "bfly.protocols.pages:Sections",
    "state": "bfly.protocols.state:ViewerState",
    "tiles": "bfly.protocols.tiles:Tiles",
    "try": "bfly.protocols.tryout:Try",
    "zarr": "bfly.protocols.zarr:Zarr2",
    "zarr3": "bfly.protocols.zarr:Zarr3",
}

DATABASES = {
    "Nodb": "bfly.databases.nodb:Nodb",
    "Postgres": "bfly.databases.postgres:Postgres",
    "Sqlite": "bfly.databases.sqlite:Sqlite",
}

EXTRAS = {
    "Postgres": "postgres",
    "bfly mesh": "dask,mesh",
    "bfly pyramid": "dask",
    "graphene meshes": "mesh",
    "mrc": "volumes",
    "nifti": "volumes",
    "nrrd": "volumes",
    "skeletons": "skeletons",
}
"""The extras that plug-ins and commands need; the message for any other plug-in names ``all``."""

_TABLES = {"sources": SOURCES, "encoders": ENCODERS, "databases": DATABASES, "protocols": PROTOCOLS}


@cache
def names(kind: str) -> Mapping[str, str]:
    """Return the table of one kind of plug-in, third-party ones included, sorted by name."""
    others = {entry.name: entry.value for entry in entry_points(group=f"bfly.{kind}")}
    return dict(sorted({**others, **_TABLES[kind]}.items()))


@contextmanager
def needed(name: str) -> Iterator[None]:
    """Import, in the body, the libraries that the plug-in `name` needs.

    Raises
    ------
    MissingLibrary
        A library is not installed; the message names what to install.
    """
    try:
        yield
    except ImportError as error:
        raise MissingLibrary(
            f"{name} needs a library that is not here ({error}): "
            f"pip install 'bfly[{EXTRAS.get(name, 'all')}]' has it."
        ) from error


@cache
def load(kind: str, name: str) -> Any:
    """Import a plug-in.

    Parameters
    ----------
    kind : {"databases", "encoders", "protocols", "sources"}
        The kind of plug-in.
    name : str
        One of `names`.

    Returns
    -------
    type
        The plug-in's class.

    Raises
    ------
    MissingLibrary
        The plug-in needs a library that is not installed.
    """
    module, _, attribute = names(kind)[name].partition(":")
    with needed(name):
        return getattr(import_module(module), attribute)


@cache
def find(kind: str) -> dict[str, Any]:
    """Return all plug-ins of a kind; one that cannot be imported is left out with a warning."""
    plugins = {}
    for name in names(kind):
        try:
            plugins[name] = load(kind, name)
        except Exception as error:
            log.warning("%s plug-in %s is left out: %s", kind, name, error)
    return plugins
