"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a channel.

    Parameters
    ----------
    check : str
        What was looked for, in a word, for programs.
    message : str
        What was found, a sentence.
    remedy : str
        What would mend it: a command, or what to write where.
    is_error : bool
        Whether something that should be served is not, or is not what it should be. Else it
        is a doubt, or something that makes it slow.
    """

    check: str
    message: str
    remedy: str = ""
    is_error: bool = False
