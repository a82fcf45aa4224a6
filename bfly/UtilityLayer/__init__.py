"""The documented UtilityLayer: the words, the configuration file and its settings.

Each of the constants (``PORT``, ``DB_TYPE`` …) is also a name of this module.
"""

from typing import Any

from bfly.config import rh_config
from bfly.config import settings as Settings  # noqa: N812 - documented name
from bfly.keywords import INPUT, OUTPUT, RUNTIME, NamedStruct, NamelessStruct
from bfly.layers import settle
from bfly.server.arguments import to_argv

__all__ = [
    "INPUT",
    "OUTPUT",
    "RUNTIME",
    "NamedStruct",
    "NamelessStruct",
    "Settings",
    "rh_config",
    "to_argv",
]


def __getattr__(name: str) -> Any:
    if name not in Settings.SETTINGS:
        raise AttributeError(f"module 'bfly.UtilityLayer' has no attribute {name!r}")
    return Settings.SETTINGS[name]()


settle(__name__)
