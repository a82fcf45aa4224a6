"""The documented UtilityLayer: the words, and the configuration file."""

from bfly.config import rh_config
from bfly.keywords import INPUT, OUTPUT, RUNTIME

__all__ = ["INPUT", "OUTPUT", "RUNTIME", "rh_config"]
