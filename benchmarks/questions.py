"""The four questions: asked of the tables in memory, of a database, and of the columns as made."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import WrongAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.celled import Celled
    from benchmarks.synapses import Columns
    from bfly.databases.engine import Engine
    from bfly.geometry import BoundingBox

    Ask = Callable[..., Any]

__all__ = ["QUESTIONS", "Question", "ask_numpy", "ask_engine", "check", "chosen", "p50"]

QUESTIONS = {
    "point look-up": "point",
    "box of 1,000": "box",
    "a neuron's synapses in a box": "children",
    "partners of a neuron": "partners",
    "partners of a large neuron": "partners",
}
"""The questions, and what they are put to. Large is the neuron of a synapse met by chance."""

SCANNED = 20
"""To so many questions of each kind a scan of the columns gives the answer as well."""


@dataclass(frozen=True)
class Question:
    """What is asked for (an id, a box, or a neuron and a box), and what is true."""

    arguments: tuple[Any, ...]
    truth: Any


def chosen(columns: Columns, celled: Celled, count: int) -> dict[str, list[Question]]:
    """Choose questions around random synapses, and on random neurons.

    Raises
    ------
    WrongAnswer
        The tables in memory have another answer than a scan.
    """
    random = np.random.default_rng(1)
    neurons = np.unique(columns["pre"])
    asks = ask_numpy(celled)
    result: dict[str, list[Question]] = {name: [] for name in QUESTIONS}
    for row in random.integers(len(celled.columns["id"]), size=count).tolist():
        number, large = (int(celled.columns[name][row]) for name in ("id", "pre"))
        box, neuron = celled.box_around(row, 1000), int(random.choice(neurons))
        arguments = (number,), (box,), (large, box), (neuron,), (large,)
        for name, given in zip(QUESTIONS, arguments, strict=True):
            result[name].append(Question(given, _plain(asks[name](*given))))
    for name, way in QUESTIONS.items():
        for question in result[name][:SCANNED]:
            if _plain(_SCANS[way](columns, *question.arguments)) != question.truth:
                raise WrongAnswer(f"numpy, {name}: {question.arguments}")
    return result


def _point(columns: Columns, number: int) -> Any:
    (row,) = np.flatnonzero(columns["id"] == np.uint64(number))
    return [int(column[row]) for column in columns.values()]


def _inside(columns: Columns, box: BoundingBox) -> Any:
    hit = np.ones(len(columns["id"]), bool)
    for axis, start, stop in zip("zyx", box.start, box.stop, strict=True):
        hit &= (columns[axis] >= start) & (columns[axis] < stop)
    return hit


def _box(columns: Columns, box: BoundingBox) -> Any:
    return np.sort(columns["id"][_inside(columns, box)])


def _children(columns: Columns, neuron: int, box: BoundingBox) -> Any:
    hit = _inside(columns, box)
    ids, pre, post = (columns[name][hit].tolist() for name in ("id", "pre", "post"))
    sides = zip(ids, pre, post, strict=True)
    return {i: (a == neuron) + 2 * (b == neuron) for i, a, b in sides if neuron in (a, b)}


def _partners(columns: Columns, neuron: int) -> Any:
    result = []
    for own, other in (("pre", "post"), ("post", "pre")):
        found = columns[other][columns[own] == np.uint64(neuron)]
        result += np.unique(found, return_counts=True)
    return result


_SCANS = {"point": _point, "box": _box, "children": _children, "partners": _partners}


def _plain(answer: Any) -> Any:
    """Give an answer in lists, whoever gave it."""
    if isinstance(answer, dict):
        return sorted(map(list, answer.items()))
    if isinstance(answer, np.ndarray):
        return answer.tolist()
    return [_plain(part) if isinstance(part, np.ndarray) else part for part in answer]


def ask_numpy(celled: Celled) -> dict[str, Ask]:
    """Give what answers each question from memory."""
    return {name: getattr(celled, way) for name, way in QUESTIONS.items()}


def ask_engine(engine: Engine, path: str) -> dict[str, Ask]:
    """Give what answers each question from a dataset of a database, by documented calls."""

    def point(number: int) -> Any:
        return engine.get_by_key("synapse", path, number).values()

    def box(box: BoundingBox) -> Any:
        return engine.synapse_ids("synapse", path, box.start, box.stop)

    def children(neuron: int, box: BoundingBox) -> Any:
        return engine.neuron_children("synapse", path, neuron, box.start, box.stop)

    def partners(neuron: int) -> Any:
        after, before = engine.partners(path, neuron)
        return *np.unique(after, return_counts=True), *np.unique(before, return_counts=True)

    ways = {"point": point, "box": box, "children": children, "partners": partners}
    return {name: ways[way] for name, way in QUESTIONS.items()}


def check(who: str, name: str, ask: Ask, questions: Sequence[Question]) -> None:
    """Compare each answer with the truth.

    Raises
    ------
    WrongAnswer
        One differs.
    """
    for question in questions:
        if _plain(ask(*question.arguments)) != question.truth:
            raise WrongAnswer(f"{who}, {name}: {question.arguments}")


def p50(ask: Ask, questions: Sequence[Question]) -> float:
    """Ask each question once; gives the median in milliseconds."""
    times = []
    for question in questions:
        start = time.perf_counter()
        ask(*question.arguments)
        times.append(time.perf_counter() - start)
    return 1000 * median(times)
