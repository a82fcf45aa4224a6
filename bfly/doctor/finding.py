"""Result of a check."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """One problem of a channel.

    Parameters
    ----------
    check : str
        Short name of the check, for programs.
    message : str
        The problem, in a sentence.
    remedy : str
        How to fix it: a command, or a change of the configuration or data.
    is_error : bool
        Whether data are not served, or served wrongly. Otherwise the finding is a suspicion,
        or a cause of slow reads.
    """

    check: str
    message: str
    remedy: str = ""
    is_error: bool = False
