"""The command ``python -m benchmarks.report RESULT.json``: a run in ``docs/performance.md``.

It draws the plots, and writes the tables between the marks of their names.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.file_tables import cutout_target
from benchmarks.plots import plot_sizes, plot_throughput
from benchmarks.targets import targets_of
from benchmarks.users import BFLY, REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCS = Path(__file__).parents[1] / "docs"

Raw = dict[str, Any]


def main() -> None:
    """Write the plots and the tables of a run."""
    parser = argparse.ArgumentParser("python -m benchmarks.report", description=__doc__)
    parser.add_argument("result", type=Path, help="what a run kept: benchmarks/results/….json")
    raw = json.loads(parser.parse_args().result.read_text())
    folder = DOCS / "performance"
    folder.mkdir(exist_ok=True)
    plot_throughput(raw["throughput"][0], folder / "throughput.svg")
    plot_sizes(raw["sizes"][0], folder / "sizes.svg")
    page = DOCS / "performance.md"
    text = page.read_text()
    for name, lines in {
        "machine": _machine(raw),
        "targets": _targets(raw),
        "cutouts": _cutouts(raw),
        "users": _users(raw),
    }.items():
        block = "\n".join(lines)
        marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
        between = f"{marks[0]}\n\n{block}\n\n{marks[1]}"
        text = re.sub(f"{marks[0]}.*?{marks[1]}", lambda _, new=between: new, text, flags=re.S)
    page.write_text(text)


def _machine(raw: Raw) -> Iterator[str]:
    yield ", ".join(f"{name} {version}" for name, version in raw["machine"].items()) + "."


def _targets(raw: Raw) -> Iterator[str]:
    yield from _head("work", "beside (version)", "Butterfly", "theirs", "figure", "target", "")
    for row in targets_of(raw):
        cells = row.work, row.against, row.ours, row.theirs, f"{row.figure:,.2f}", row.wanted
        yield _line([*cells, "✓" if row.met else "✗"])


def _cutouts(raw: Raw) -> Iterator[str]:
    yield from _head("format", "cutout", "Butterfly", "beside", "theirs", "figure", "target", "")
    for row in raw["cutouts"]:
        cutout, times = " × ".join(map(str, row["shape"])), row["samples"]
        ms = {who: 1000 * median(seconds) for who, seconds in times.items()}
        for who, theirs in ms.items():
            if who != "bfly":
                figure, target = theirs / ms["bfly"], cutout_target(who, row["format"])
                judged = ("", "") if target is None else (f"≥ {target:g}", "✗✓"[figure >= target])
                both = f"{ms['bfly']:.2f} ms", who, f"{theirs:.2f} ms"
                yield _line([row["format"], cutout, *both, f"{figure:.2f}", *judged])


def _users(raw: Raw) -> Iterator[str]:
    yield from _head("client", "cutout", "without Butterfly", "", "through it", "in one request")
    for row in raw["users"]:
        ms = {who: f"{1000 * median(samples):.1f} ms" for who, samples in row["samples"].items()}
        client = f"{row['client']} ({raw['machine'][row['version']]})"
        cutout = " × ".join(map(str, row["shape"]))
        cells = client, cutout, row["peer"], ms[row["peer"]], ms[BFLY], ms.get(REQUEST, "—")
        yield _line(cells)


def _head(*names: str) -> Iterator[str]:
    yield _line(names)
    yield "|" + "---|" * len(names)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
