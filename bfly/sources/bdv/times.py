"""Time points of BigDataViewer: a range, a list, or a pattern such as ``0-8:2,12``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bfly.errors import SourceError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["times_of"]

MOST = 100_000
"""Time points that an XML may list."""

_STEP = re.compile(r"\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?(?:\s*:\s*(\d{1,9}))?\s*")


def times_of(element: Element) -> tuple[int, ...]:
    """Return the numbers that ``Timepoints`` lists, in its order, each once.

    Raises
    ------
    SourceError, ValueError
        They cannot be read, or there are too many.
    """
    match element.get("type"):
        case "range":
            first, last = (int(element.findtext(name) or "0") for name in ("first", "last"))
            spans = [range(first, last + 1)]
        case "list":
            ids = [int(item.findtext("id") or item.attrib["id"]) for item in element]
            spans = [range(number, number + 1) for number in ids]
        case "pattern":
            text = element.findtext("integerpattern") or "0"
            spans = [_span(piece) for piece in text.split(",") if piece.strip()]
        case other:
            raise SourceError(f"Timepoints has the type {other}; known are range, list, pattern")
    if sum(map(len, spans)) > MOST:
        raise SourceError(f"it lists more than {MOST} time points")
    return tuple(dict.fromkeys(number for span in spans for number in span)) or (0,)


def _span(piece: str) -> range:
    found = _STEP.fullmatch(piece)
    if not found:
        raise SourceError(f"its time points are {piece!r:.80}; a pattern is 0-8:2,12")
    first = int(found[1])
    return range(first, int(found[2] or first) + 1, max(1, int(found[3] or 1)))
