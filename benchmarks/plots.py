"""The figures of a run as plots."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

__all__ = ["plot_sizes", "plot_throughput"]

# Okabe and Ito's blue and vermilion, which all can tell apart.
OURS, THEIRS = "#0072b2", "#d55e00"

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bfly",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
}


def plot_throughput(row: Mapping[str, Any], path: Path) -> None:
    """Draw requests a second against connections."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        counts = row["connections"]
        ends = {who: median(samples[-1]) for who, samples in row["rates"].items()}
        for who, samples in row["rates"].items():
            color = OURS if who.startswith("bfly") else THEIRS
            line = "--" if who.endswith("workers") else "-"
            axes.plot(
                counts, [median(each) for each in samples], line, color=color, marker="o", ms=4
            )
        for who, place in _apart(ends, max(ends.values()) / 18).items():
            color = OURS if who.startswith("bfly") else THEIRS
            axes.annotate(
                who,
                (counts[-1], place),
                (8, 0),
                textcoords="offset points",
                va="center",
                color=color,
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        _save(axes, "connections", "requests a second", path)
        plt.close(figure)


def plot_sizes(row: Mapping[str, Any], path: Path) -> None:
    """Draw what a chunk costs against the size of its volume."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
        sizes = list(row["nbytes"].values())
        for place, size in enumerate(sizes):
            samples = list(row["samples"].values())[place]
            ms = [1000 * seconds for seconds in samples]
            axes.plot([size] * len(ms), ms, ".", color=OURS, alpha=0.4, ms=5)
        medians = [1000 * median(samples) for samples in row["samples"].values()]
        axes.plot(sizes, medians, "-", color=OURS)
        axes.annotate(
            "median",
            (sizes[-1], medians[-1]),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=OURS,
        )
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, list(row["nbytes"]))
        axes.minorticks_off()
        axes.set_ylim(0, 1.5 * max(medians))
        _save(axes, "voxels of the volume, one byte each", "ms for a cold 64³ chunk", path)
        plt.close(figure)


def _apart(places: Mapping[str, float], least: float) -> dict[str, float]:
    """Move labels up until none lies on another."""
    apart: dict[str, float] = {}
    below = float("-inf")
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        below = apart[name] = max(place, below + least)
    return apart


def _save(axes: Axes, across: str, up: str, path: Path) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.figure.savefig(path, metadata={"Date": None})
