"""Examination of a channel: open it, run all checks, collect facts and findings."""

from __future__ import annotations

import logging
import statistics
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bfly.doctor.axes import axes, gaps, voxel_size
from bfly.doctor.files import damage, files
from bfly.doctor.finding import Finding
from bfly.doctor.merges import merges
from bfly.doctor.parts import parts
from bfly.doctor.subject import Subject
from bfly.doctor.viewing import chunks, mips, packing, planes
from bfly.doctor.voxels import fill, kind, narrow, negative, rounded
from bfly.errors import ButterflyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bfly.volumes.volume import Volume

__all__ = ["CHECKS", "Examined", "Facts", "examine"]

CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    files,
    damage,
    gaps,
    parts,
    merges,
    fill,
    axes,
    kind,
    narrow,
    rounded,
    negative,
    voxel_size,
    packing,
    chunks,
    mips,
)
"""All checks, in the order of their findings in the report."""


@dataclass(frozen=True)
class Facts:
    """Properties of a channel.

    Parameters
    ----------
    format, dtype : str
        As stated by the metadata of the channel.
    kind, kind_source : str
        Kind of the voxels, and its origin: ``config``, ``file: …``, ``voxels: …``, ``name: …``
        or ``dtype: …``.
    shape, chunk : tuple of int
        Shape of mip 0 and of its chunks (z, y, x), in voxels.
    mips : tuple of int
        The stored mips.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x).
    voxel_size_source : str
        Origin of the voxel size: ``config``, ``file: …`` or ``assumed``.
    planes : tuple of str
        The planes that the chunks suit, among ``xy``, ``xz`` and ``yz``.
    read_ms : float, optional
        Median milliseconds to read a tile of 512² of a section; None if no tile is readable.
    """

    format: str
    kind: str
    kind_source: str
    dtype: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    mips: tuple[int, ...]
    voxel_size: tuple[float, ...] | None
    voxel_size_source: str
    planes: tuple[str, ...]
    read_ms: float | None


@dataclass(frozen=True)
class Examined:
    """A channel, its properties and its findings.

    Parameters
    ----------
    name, path : str
        Name of the channel in commands, and its path.
    facts : Facts, optional
        None if it could not be opened.
    findings : list of Finding
        Empty if it is healthy.
    """

    name: str
    path: str
    facts: Facts | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        """Whether any of the findings is an error."""
        return any(finding.is_error for finding in self.findings)


def examine(name: str, path: str, experiments: str, opened: Callable[[], Volume]) -> Examined:
    """Open a channel and check it.

    Parameters
    ----------
    name, experiments : str
        As for `Subject`.
    path : str
        Path of the channel.
    opened : callable
        Opens the channel, as `Volume.open` does.
    """
    with _warnings() as said:
        try:
            subject = Subject(name, experiments, opened())
            findings = [finding for check in CHECKS for finding in check(subject)]
            facts = _facts(subject)
        except (ButterflyError, OSError) as error:
            wrong = Finding("open", str(error), is_error=True)
            return Examined(name, path, None, [wrong])
    findings += [Finding("log", text) for text in said]
    return Examined(name, path, facts, findings)


def _facts(subject: Subject) -> Facts:
    source = subject.source
    scale = source.scales[0]
    times = [sample.seconds for sample in subject.samples if sample.voxels is not None]
    return Facts(
        format=source.name,
        kind=source.kind,
        kind_source=source.kind_source,
        dtype=source.dtype.name,
        shape=scale.shape,
        chunk=scale.chunk,
        mips=tuple(source.scales),
        voxel_size=source.voxel_size,
        voxel_size_source=source.voxel_size_source,
        planes=tuple(planes(subject)),
        read_ms=round(1000 * statistics.median(times), 3) if times else None,
    )


class _Said(logging.Handler):
    """Handler that collects warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: Any) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect the warnings that Butterfly logs meanwhile, such as files that it skips."""
    handler, log = _Said(), logging.getLogger("bfly")
    propagate, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield handler.texts
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
