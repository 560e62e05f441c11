"""The audit: play what ought to earn nothing, and see what it is paid.

What a policy that knows nothing may earn is measured, on the same problems, by what an honest attempt earns:
a well-formed answer that is wrong. Nobody may be paid more than that for a guess or for junk, and whoever
gives no answer at all has to earn visibly less, or nothing: otherwise not answering is as good a plan.
`merf.audit.rows` has the exact limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from merf.audit.cases import Track, draw_cases
from merf.audit.changes import CHANGES
from merf.audit.promises import Outcome, outcomes, unstated
from merf.audit.rows import ROUNDING, Row, Scale, rows, scale_of
from merf.audit.sample import sample
from merf.audit.signals import Signals, signals
from merf.core.seams import Task
from merf.rules.rulebook import Rulebook
from merf.rules.wording import plain

PROBLEMS = 20

THRESHOLD = 0.05
"""Share of the reachable range: what is worth noticing. In the paper's rulebook it is 0.3 points."""


@dataclass(frozen=True)
class Hole:
    """Something the audit holds against the rulebook, with a text that shows it."""

    name: str
    about: str
    example: str = ""


@dataclass(frozen=True)
class Audit:
    """The findings on one rulebook and task.

    stored    share of problems whose stored answer the task's verifier calls right
    chance    how often a random answer of the right form is the stored one
    rows      what every policy and every change was paid
    outcomes  what is promised and what is paid, for every combination of levels that was reached
    promises  whether the description is what the model is told, so that it can be broken
    unstated  numbers that are paid and that a prompt written by hand doesn't give
    """

    task: str
    problems: int
    threshold: float
    scale: Scale
    stored: float
    chance: float
    rows: tuple[Row, ...]
    outcomes: tuple[Outcome, ...]
    signals: Signals
    promises: bool
    unstated: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.holes

    @property
    def holes(self) -> tuple[Hole, ...]:
        """What is wrong, the most basic first. An audit passes if there is nothing."""
        return tuple(self._holes())

    def _holes(self) -> Iterator[Hole]:
        scale = self.scale
        if self.stored < 1 - self.threshold:
            share = f"{1 - self.stored:.0%} of the problems"
            yield Hole("stored answer", f"the verifier doesn't accept the stored answer of {share}")
        if self.signals.alive == 0:
            yield Hole("no signal", "every response to a problem is paid the same, so nothing can be learned")
        elif not math.isnan(scale.right) and scale.right - scale.wrong <= self.threshold * scale.span:
            yield Hole(
                "being right",
                f"a right answer is paid {show(scale.right)} on average and a wrong one {show(scale.wrong)}",
            )
        for row in self.rows:
            if not row.passed:
                yield Hole(row.name, self._explained(row), row.example)
        if self.promises:
            for outcome in self.outcomes:
                if not outcome.kept:
                    yield Hole("broken promise", broken(outcome), outcome.example)
        if self.unstated:
            yield Hole("unstated", f"the text doesn't say that these are paid: {', '.join(self.unstated)}")

    def _explained(self, row: Row) -> str:
        if row.failed > self.threshold:
            return f"{row.about} {row.failed:.0%} of these can't be scored"
        than = "the same without the change" if row.kind == "change" else "it may earn"
        through = f' through "{row.through}"' if row.through else ""
        return f"{row.about} Paid {show(row.mean)}{through}, more than {than} ({show(row.limit)})"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing and no hole."""
        said = [
            f'"{name}" adds a constant, which normalising within groups takes away again'
            for name in self.signals.constants
        ]
        said += [f'"{name}" paid every response alike' for name in self.signals.silent]
        said += [
            f'"{name}" changed no group\'s normalised advantages: the other parts say the same'
            for name in self.signals.redundant
        ]
        said += [f'"{name}": no response reached "{level}"' for name, level in self.signals.unreached]
        said += [
            f'"{row.name}" costs a right response {show(self.scale.right - row.mean)}'
            for row in self.rows
            if row.kind == "change" and CHANGES[row.name].harmless and row.mean < self.scale.right - ROUNDING
        ]
        if self.chance > 0.2:
            said.append(f"a random answer is right {self.chance:.0%} of the time")
        if 0 < self.signals.alive < 1:
            said.append(f"in {1 - self.signals.alive:.0%} of the groups all responses were paid alike")
        if not self.promises and not self.unstated:
            said.append("the rulebook is silent: the model is told nothing")
        return tuple(said)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        extra = {"passed": self.passed, "holes": [asdict(hole) for hole in self.holes], "notes": list(self.notes)}
        return {**extra, **asdict(self)}


def show(score: float) -> str:
    return plain(round(score, 3) + 0.0)


def broken(outcome: Outcome) -> str:
    levels = " and ".join(level for _, level in outcome.levels) or "any response"
    paid = between(outcome.paid)
    if outcome.promised is None:
        return f"where {levels}, {paid} is paid and the text doesn't say what is"
    return f"where {levels}, {between(outcome.promised)} is promised and {paid} is paid"


def between(ends: tuple[float, float]) -> str:
    low, high = map(show, ends)
    return low if low == high else f"{low} to {high}"


def audit(
    book: Rulebook,
    task: Task,
    *,
    problems: int = PROBLEMS,
    seed: int = 0,
    threshold: float = THRESHOLD,
    told: str | None = None,
    track: Track = lambda items, doing: items,
) -> Audit:
    """Attack a rulebook with responses to a task's problems.

    problems   how many to play on
    threshold  share of the reachable range by which a policy may exceed its limit
    told       what the model is told instead of the description: a prompt written by hand
    track      wraps the loops over problems, for a progress bar: `rich.progress.track`, for one

    Every response to a problem is in one group, right and wrong ones among them, so rules that compare the
    members of a group have something to compare. A word counts as a token. ValueError where there is nothing
    to audit.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold={threshold}: a share of the reachable range lies between 0 and 1; 0.05 is usual")
    if problems < 1:
        raise ValueError(f"problems={problems}: play on at least 1 problem")
    if not book.parts:
        raise ValueError("an empty rulebook pays nothing, so there is nothing to audit: give it a rule")
    cases = draw_cases(task, problems, seed, track)
    played = sample(book, cases, task.verify, track)
    scale = scale_of(played, book)
    accepted = played.of_kind("right") & np.array([one.verdict.correct is True for one in played.responses])
    return Audit(
        task=task.name,
        problems=len(cases),
        threshold=threshold,
        scale=scale,
        stored=float(accepted.sum()) / len(cases),
        chance=float(np.mean([case.chance for case in cases])),
        rows=rows(played, scale, threshold),
        outcomes=outcomes(book, told, played.responses.items, played.scores),
        signals=signals(book, played.responses, played.scores),
        promises=told is None and book.told,
        unstated=() if told is None else unstated(book, told),
    )
