"""The command ``python -m benchmarks``: every measurement of the image path, in one run."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks import reading, serving, tables
from benchmarks.data import volumes
from benchmarks.measure import WrongAnswer
from benchmarks.peers import machine

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the benchmarks; the exit code is 1 if any answer was wrong."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds: about half a minute"
    )
    quick = parser.parse_args().quick
    console = Console(width=None if sys.stdout.isatty() else 120)
    # The data is kept between runs: the synthetic tissue takes a while to make.
    found = volumes(RESULTS / "data", console)
    facts = machine()
    tables.show_machine(facts, console)
    raw: dict[str, object] = {"machine": facts, "quick": quick}
    try:
        served = serving.measure(found[-1], rounds=3 if quick else 7, seconds=1 if quick else 3)
        tables.show_serving(served, console)
        raw["serving"] = [asdict(row) for row in served]
        read = []
        for volume in found:
            for path in (volume.em, volume.labels):
                read.append(reading.measure(volume.name, path, rounds=3 if quick else 11))
                tables.show_reading(read[-1], console)
        raw["reading"] = [asdict(row) for row in read]
    except WrongAnswer as error:
        console.print(f"A wrong answer: {error}", style="bold red")
        return 1
    kept = RESULTS / time.strftime("%Y-%m-%dT%H-%M-%S.json")
    kept.write_text(json.dumps(raw, indent=1) + "\n")
    console.print(f"Every answer was right. All samples: {os.path.relpath(kept)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
