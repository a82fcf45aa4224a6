"""Butterfly: the dense image server for connectomics.

Importing this package is cheap: the names below are imported on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bfly.butterfly import Butterfly
    from bfly.server.webserver import Webserver

__all__ = ["Butterfly", "Webserver", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Butterfly":
        from bfly.butterfly import Butterfly

        return Butterfly
    if name == "Webserver":
        from bfly.server.webserver import Webserver

        return Webserver
    raise AttributeError(f"module 'bfly' has no attribute {name!r}")
