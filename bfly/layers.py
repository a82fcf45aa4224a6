"""The documented names of layers: each layer is one module under all of its names.

`bfly.CoreLayer.QueryLayer`, `CoreLayer.AccessLayer.QueryLayer` and `QueryLayer` (with the folder of
one of them on ``sys.path``) are the module `bfly.QueryLayer`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["WITHIN", "settle"]

WITHIN = {
    "bfly.CoreLayer": ("AccessLayer", "DatabaseLayer", "QueryLayer", "ImageLayer", "UtilityLayer"),
    "bfly.AccessLayer": ("QueryLayer", "ImageLayer", "UtilityLayer"),
    "bfly.QueryLayer": ("ImageLayer", "UtilityLayer"),
}
"""Layers that are documented as modules within a layer."""


class _Within:
    """Finds the modules of `WITHIN` (a meta path finder and its loader)."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        above, _, layer = name.rpartition(".")
        within = WITHIN.get(getattr(sys.modules.get(above), "__name__", ""), ())
        return ModuleSpec(name, cls) if layer in within else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leave it to Python to create a module, which `exec_module` replaces."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        settle(module.__name__)


def settle(name: str) -> None:
    """Put the module of a layer in the place of a module that is being imported.

    Parameters
    ----------
    name : str
        The ``__name__`` of that module; it ends with the name of the layer.
    """
    layer = f"bfly.{name.rpartition('.')[2]}"
    if name != layer:
        sys.modules[name] = import_module(layer)


sys.meta_path.insert(0, _Within)
