"""The documented keywords: ``INPUT``, ``RUNTIME`` and ``OUTPUT``.

Each is a class without arguments; its attributes are fields. A field has a ``NAME`` (the word on
the wire, in the config or in a file) and a ``VALUE`` (the current value or the default). It may
have lists of allowed words. The fields below it are its attributes, and its items by their
``NAME``: ``RUNTIME().CACHE.MAX`` is ``RUNTIME().CACHE["max-cache-size"]``.
"""

from bfly.keywords.input import INPUT
from bfly.keywords.output import OUTPUT
from bfly.keywords.runtime import MIB, RUNTIME
from bfly.keywords.structures import NamedStruct, NamelessStruct

__all__ = ["INPUT", "MIB", "OUTPUT", "RUNTIME", "NamedStruct", "NamelessStruct"]
