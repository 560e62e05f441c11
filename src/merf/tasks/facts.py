"""What lists and docs say of a task, stated once beside its code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from merf.core.seams import Task


@dataclass(frozen=True)
class Dial:
    """An option of the task that makes its problems easier or harder."""

    name: str
    range: str
    """Its values in a few words: `2 to 8`."""
    default: Any = None
    """Its value where none is given; None where the task has it as an attribute of the same name."""


@dataclass(frozen=True)
class Facts:
    """verifier  how an answer is judged, in one phrase
    partial   what part marks (`Verdict.score`) are given for; "none" where there are none
    turns     how many turns an attempt has
    dials     what sets the difficulty
    """

    verifier: str
    partial: str = "none"
    turns: str = "1"
    dials: tuple[Dial, ...] = ()


class DescribedTask(Task, Protocol):
    """A task that also states its facts, as every task of this package does."""

    @property
    def facts(self) -> Facts: ...
