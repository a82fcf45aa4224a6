"""Choice of the tests of a suite that pytest collects for a derived class."""

from __future__ import annotations

__all__ = ["collect_if"]


def collect_if(condition: bool, suite: type, *tests: str) -> None:
    """Hide tests of a suite from pytest unless a condition holds.

    Parameters
    ----------
    condition : bool
        Whether the tests apply to the class.
    suite : type
        A derived class; its ``__init_subclass__`` calls this function. Tests that it defines
        itself stay.
    *tests : str
        Names of tests that it inherits. A class derived from it may show them again.
    """
    for test in tests:
        if test not in vars(suite):
            inherited = (vars(base).get(test) for base in suite.__mro__)
            setattr(suite, test, next(filter(None, inherited)) if condition else None)
