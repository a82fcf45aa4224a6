"""The hot paths against what they have to be: one table out of the figures of one run."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.edits import ONCE
from benchmarks.indexing import BFLY as INDEX
from benchmarks.indexing import CC3D as STATISTICS
from benchmarks.long_logs import LongLog
from benchmarks.proofread_tables import rows_of
from benchmarks.tables import RELABELLED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Target", "targets_of"]

Raw = dict[str, Any]

SLICING = "h5py slicing ({h5py})"
NGINX = "nginx, the same bytes as a file ({nginx})"


class Target(NamedTuple):
    """One piece of work, and what it has to be.

    Parameters
    ----------
    work, against : str
        What is done, and by whom besides, with the version.
    ours, theirs : str
        What it took, with the unit: medians.
    figure : float
        How they compare, or what it took where there is no other.
    least : bool
        Whether it has to be at least the target, or at most.
    target : float
        What the figure has to be.
    """

    work: str
    against: str
    ours: str
    theirs: str
    figure: float
    least: bool
    target: float

    @property
    def met(self) -> bool:
        """Whether it is what it has to be."""
        return self.figure >= self.target if self.least else self.figure <= self.target

    @property
    def wanted(self) -> str:
        """The target in words."""
        return f"{'≥' if self.least else '≤'} {self.target:g}"


def targets_of(raw: Mapping[str, Any]) -> Iterator[Target]:
    """Find the figures that have targets in those of a run.

    Parameters
    ----------
    raw : mapping
        From the name of a measurement to its rows, as they are kept; with ``machine``.
    """
    versions = raw["machine"]
    served = {row["what"]: row["samples"] for row in raw.get("serving", [])}
    hot = {row["work"]: row for row in raw.get("hot", [])}
    yield from _rate(
        "warm 64³ chunk, 16 connections", served.get("64³ uint8 chunk"), versions, 0.75
    )
    for row in hot.values():
        if "two workers" in row["work"]:
            yield _times(row, versions)
    yield from _rate("512² PNG tile, warm", served.get("512² PNG tile"), versions, 0.6)
    for row in hot.values():
        if "two workers" not in row["work"]:
            yield _times(row, versions)
    for row in raw.get("reading", []):
        yield from _cutout(row, versions)
    for row in raw.get("indexed", []):
        if len(row["builds"]) > 1:
            yield _indexed(row)
    for row in raw.get("streams", []):
        yield from _streams(row)
    for row in raw.get("sizes", []):
        yield _size(row)
    for row in raw.get("meshes", []):
        yield from _meshes(row)
    for row in raw.get("solid", []):
        for what, taken in row["resident"].items():
            work = f"mesh of a segment of 2048³ voxels, {what}: resident memory, MiB"
            against = "above the idle server"
            yield Target(work, against, f"{taken:.0f} MiB", "—", taken, False, 512)
    for row in raw.get("skeletons", []):
        yield _skeletons(row)
    for row in raw.get("edits", []):
        yield from _edits(row)
    for row in raw.get("long_logs", []):
        yield from _long_log(row)
    for row in raw.get("box_cuts", []):
        yield from _box_cuts(row)


def _edits(row: Raw) -> Iterator[Target]:
    rates = {way: median(rounds) for way, rounds in row["tiles"].items()}
    for way, target in RELABELLED.items():
        if way != "edited":
            said = [f"{rates[each]:,.0f}/s" for each in (way, ONCE)]
            work = f"warm 64³ chunk, {way}"
            yield Target(work, ONCE, *said, rates[way] / rates[ONCE], True, target)


def _long_log(row: Raw) -> Iterator[Target]:
    for work, value, target in rows_of(LongLog(**row)):
        if target is not None:
            yield Target(work, "—", f"{value:,.3g}", "—", value, False, target)


def _box_cuts(row: Raw) -> Iterator[Target]:
    for part, target in ((50, 150), (99, 500)):
        if row["splits"]:
            value = 1e3 * float(np.percentile(row["splits"], part))
            work = f"split by points in a box of 512³, p{part}, ms; {row['data']}"
            yield Target(work, "—", f"{value:,.3g} ms", "—", value, False, target)


def _rate(
    work: str, samples: dict[str, list[float]] | None, versions: Mapping[str, str], target: float
) -> Iterator[Target]:
    if samples and "nginx" in samples:
        ours, theirs = (median(samples[name]) for name in ("bfly", "nginx"))
        rates = [f"{rate:,.0f}/s" for rate in (ours, theirs)]
        yield Target(work, NGINX.format_map(versions), *rates, ours / theirs, True, target)


def _times(row: Raw, versions: Mapping[str, str]) -> Target:
    ours, theirs = (median(row["samples"][name]) for name in ("bfly", "peer"))
    said = [_milliseconds(seconds) for seconds in (ours, theirs)]
    against = f"{row['against']} ({versions[row['version']]})"
    return Target(row["work"], against, *said, theirs / ours, True, row["target"])


def _cutout(row: Raw, versions: Mapping[str, str]) -> Iterator[Target]:
    ours, theirs = (median(row["samples"][name]) for name in ("open 2", "h5py"))
    said = [_milliseconds(seconds) for seconds in (ours, theirs)]
    work = f"256³ of {row['dtype']} from gzip HDF5, two threads; {row['data']}"
    target = 4.5 if row["dtype"] == "uint64" else 3.7
    yield Target(work, SLICING.format_map(versions), *said, theirs / ours, True, target)


def _indexed(row: Raw) -> Target:
    ours, theirs = (median(row["builds"][name]) for name in (INDEX, STATISTICS))
    said = [_milliseconds(seconds) for seconds in (ours, theirs)]
    work = f"label index of {row['labels']:,} labels, from the file; {row['data']}"
    return Target(work, "cc3d.statistics, in memory", *said, theirs / ours, True, 1)


def _streams(row: Raw) -> Iterator[Target]:
    taken = median(row["resident"])
    work = "1 GiB cutout streamed: resident memory, MiB"
    yield Target(work, "above the idle server", f"{taken:.0f} MiB", "—", taken, False, 256)
    for connections, samples in row["p99"].items():
        alone, beside = (median(samples[name]) for name in ("alone", "beside"))
        said = [_milliseconds(seconds) for seconds in (beside, alone)]
        work = f"p99 of a warm chunk beside 1 GiB streams, connections: {connections}"
        yield Target(work, "p99 alone", *said, beside / alone, False, 3)


def _size(row: Raw) -> Target:
    small, *_, large = row["samples"]
    ours, theirs = (median(row["samples"][name]) for name in (large, small))
    said = [_milliseconds(seconds) for seconds in (ours, theirs)]
    return Target(
        f"a cold chunk of {large}, sparse", f"of {small}", *said, ours / theirs, False, 1.1
    )


def _meshes(row: Raw) -> Iterator[Target]:
    if row["skipped"]:
        return
    taken = {name: median(samples) for name, samples in row["samples"].items()}
    work = f"mesh of the largest body, {{}}; {row['data']}"
    for ours in ("cold", "warm"):
        for theirs, least in (("zmesh, simplified", 0.8), ("chunkmirage", 2)):
            if theirs in taken:
                said = _milliseconds(taken[ours]), _milliseconds(taken[theirs])
                ratio = taken[theirs] / taken[ours]
                yield Target(work.format(ours), row["peers"][theirs], *said, ratio, True, least)
    first = taken["first fragment"]
    what = f"list and first fragment of it, seconds; {row['data']}"
    yield Target(what, "—", _milliseconds(first), "—", first, False, 0.5)
    touched, every = row["touched"], row["fragments"]
    what = "fragments computed after a merge that touches one cell"
    yield Target(what, "all of the body", f"{touched}", f"{every}", touched, False, 1)


def _skeletons(row: Raw) -> Target:
    ours, theirs = (median(row["samples"][name]) for name in ("bfly", "peer"))
    said = [_milliseconds(seconds) for seconds in (ours, theirs)]
    return Target(row["work"], row["against"], *said, theirs / ours, True, row["target"])


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
