"""Report of the doctor as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bfly.doctor.examine import Examined, Facts

__all__ = ["table"]

ALL = ("xy", "xz", "yz")

CAPTION = "Chunks suit the planes named; the time is that of a tile of 512² of a section."


def table(examined: Iterable[Examined]) -> Table:
    """Return a table with one row per channel.

    Parameters
    ----------
    examined : iterable of Examined
        Examined channels, in the order of the rows.
    """
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=CAPTION, caption_justify="left")
    for heading, ratio in (("channel", None), ("volume", None), ("findings", 1)):
        result.add_column(heading, ratio=ratio, overflow="fold")
    for each in examined:
        result.add_row(*_cells(each), _findings(each), end_section=True)
    return result


def _cells(each: Examined) -> list[Text]:
    name = Text(each.name, "bold")
    if each.facts is None:
        return [name, Text("not opened" if each.has_errors else "", "red")]
    facts = each.facts
    return [
        _lines(
            name,
            Text(f"{facts.format}, {facts.dtype}", "dim"),
            Text(facts.kind),
            Text(facts.kind_source, "dim"),
        ),
        _lines(
            Text(_by(facts.shape)),
            *_voxel(facts),
            Text(f"chunks {_by(facts.chunk)}"),
            _viewing(facts),
        ),
    ]


def _voxel(facts: Facts) -> list[Text]:
    if facts.voxel_size is None:
        return [Text("voxel size not known", "yellow")]
    return [Text(f"{_by(facts.voxel_size)} nm"), Text(facts.voxel_size_source, "dim")]


def _viewing(facts: Facts) -> Text:
    time = "" if facts.read_ms is None else f", {facts.read_ms:.3g} ms"
    if facts.planes == ALL:
        return Text(f"all planes{time}", "green")
    return Text(f"{' and '.join(facts.planes) or 'no plane'}{time}", "yellow")


def _findings(each: Examined) -> Text:
    if not each.findings:
        return Text("healthy", "green")
    lines = []
    for finding in each.findings:
        what, colour = ("error", "red") if finding.is_error else ("warning", "yellow")
        lines.append(Text.assemble((f"{what}: ", f"bold {colour}"), finding.message))
        if finding.remedy:
            lines.append(Text(f"→ {finding.remedy}", "cyan"))
    return _lines(*lines)


def _lines(*lines: Text) -> Text:
    return Text("\n").join(lines)


def _by(numbers: tuple[float, ...]) -> str:
    return " × ".join(f"{number:g}" if number < 1e6 else f"{number:.0f}" for number in numbers)
