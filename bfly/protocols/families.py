"""The protocols with a table of actions, from which OpenAPI and the forms of ``/try`` follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.protocols.drawn import AnnotationsAPI
from bfly.protocols.edits import EditsAPI

if TYPE_CHECKING:
    from bfly.protocols.actions import ActionsAPI

__all__ = ["FAMILIES"]

FAMILIES: dict[str, type[ActionsAPI]] = {each.name: each for each in (EditsAPI, AnnotationsAPI)}
"""By the part of the address after ``/api``."""
