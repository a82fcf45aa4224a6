"""Butterfly: the dense image server for connectomics.

Importing this package is cheap: the names below are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bfly import (
        AccessLayer,
        CoreLayer,
        DatabaseLayer,
        ImageLayer,
        QueryLayer,
        UtilityLayer,
    )
    from bfly.butterfly import Butterfly
    from bfly.server.webserver import Webserver

__all__ = [
    "Butterfly",
    "Webserver",
    "CoreLayer",
    "DatabaseLayer",
    "UtilityLayer",
    "ImageLayer",
    "QueryLayer",
    "AccessLayer",
    "__version__",
]

__version__ = "0.1.0"

_MODULES = {"Butterfly": "bfly.butterfly", "Webserver": "bfly.server.webserver"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    if name in __all__:
        return import_module(f"bfly.{name}")
    raise AttributeError(f"module 'bfly' has no attribute {name!r}")
