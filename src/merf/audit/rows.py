"""What each policy and each change was paid, and what it may be paid.

The yardstick is an honest attempt at the same problems: a well-formed answer that is wrong. With `margin`
= threshold × (the most − the least that anything here is paid on average):

guess, junk   less than the honest wrong answer and margin
no answer     less than the honest wrong answer by more than margin, or less than margin above the least
change        not more than the right response it was made from

The part marks of guesses differ by chance: what exceeds a limit by less than twice its standard error doesn't count.

Junk and no answer also may not live on the verifier's credit: what they are paid counts against what they
would be paid had the verifier given them nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merf.audit.policies import Offer
from merf.audit.sample import Kind, Play, Sample
from merf.core.response import Array
from merf.rules.rulebook import Rulebook

ROUNDING = 1e-9


@dataclass(frozen=True)
class Scale:
    """Mean scores: the least of anything played, an honest wrong answer, a right one, the most."""

    low: float
    wrong: float
    right: float
    high: float

    @property
    def span(self) -> float:
        return self.high - self.low if self.high > self.low else 1.0

    def share(self, score: float) -> float:
        """How far a score is from the least (0) to the most (1)."""
        return (score - self.low) / self.span


@dataclass(frozen=True)
class Row:
    """What one policy, or one change, was paid.

    mean     over the problems; of several variants, the one that comes closest to its limit or exceeds it most.
             Where an answer happens to be the stored one, the problem is left out: luck is no hole
    limit    what it may be paid
    share    how far the mean is from the least (0) to the most (1) that was paid
    through  the part that paid it most beyond what it deserves
    failed   share of its responses that couldn't be scored
    example  the response that shows it best, and what that one was `paid`
    """

    name: str
    about: str
    kind: Kind
    offers: Offer | None
    mean: float
    limit: float
    share: float
    through: str
    failed: float
    passed: bool
    example: str
    paid: float


def scale_of(sample: Sample, book: Rulebook) -> Scale:
    """ValueError where honest responses have no score at all."""
    totals = sample.grid(sample.scores.total)
    known = ~np.isnan(totals).all(axis=1)
    honest = np.array([play.kind in ("right", "wrong") for play in sample.plays])
    if not (known & honest).any():
        note = next((note for note in sample.scores.notes if note), "no reason given")
        raise ValueError(f"not one honest response could be scored ({note}), so there is nothing to audit")
    means = np.nanmean(totals[known], axis=1)
    right = totals[[play.kind == "right" for play in sample.plays]]
    unknown = right.size == 0 or bool(np.isnan(right).all())
    return Scale(
        low=float(means.min()),
        wrong=float(np.mean(honest_wrong(sample))),
        right=float("nan") if unknown else float(np.nanmean(right)),
        # Where no right answer is known, what one would be paid isn't either.
        high=float(means.max()) if not unknown else max(float(means.max()), book.range[1]),
    )


def honest_wrong(sample: Sample) -> Array:
    """What a well-formed, readable, wrong answer is paid on each case [C]."""
    verdicts = [response.verdict for response in sample.responses]
    wrong = sample.of_kind("wrong") & np.array([verdict.correct is False for verdict in verdicts])
    readable = wrong & np.array([verdict.readable for verdict in verdicts])
    chosen = readable if readable.any() else wrong
    if chosen.any():
        paid = np.where(chosen, sample.scores.total, np.nan)
    else:
        # Every guess passes for right. What would they be paid if they didn't?
        paid = np.where(sample.of_kind("wrong"), sample.poor, np.nan)
    table = sample.grid(paid)
    counted = ~np.isnan(table)
    sums, counts = np.where(counted, table, 0.0).sum(axis=0), counted.sum(axis=0)
    overall = float(sums.sum() / max(int(counts.sum()), 1))
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall)


def limits(sample: Sample, scale: Scale, margin: float) -> Array:
    """What every response may be paid [P, C]."""
    wrong = honest_wrong(sample)
    right = sample.grid(np.where(sample.of_kind("right"), sample.scores.total, np.nan))
    right_paid = right[0] if sample.plays[0].kind == "right" else np.full(len(sample.cases), np.nan)
    poor = sample.grid(sample.poor)
    table = np.full(poor.shape, np.nan)
    for p, play in enumerate(sample.plays):
        if play.kind == "change":
            table[p] = right_paid
            continue
        table[p] = wrong + margin
        if play.offers == "nothing":
            table[p] = np.maximum(scale.low + margin, wrong - margin)
        if play.offers in ("nothing", "junk"):
            table[p] = np.fmin(table[p], poor[p] + margin)
    return table


def rows(sample: Sample, scale: Scale, threshold: float) -> tuple[Row, ...]:
    """One row for every policy and change, in the order of their registries."""
    totals = sample.grid(sample.scores.total)
    played = ~np.isnan(sample.grid(np.zeros(len(sample.responses))))
    lucky = [
        sample.plays[p].kind == "policy" and sample.cases[c].is_solution(response.answer)
        for response, p, c in zip(sample.responses, sample.play, sample.case, strict=True)
    ]
    counted = played & ~np.isnan(totals) & (sample.grid(np.array(lucky, float)) == 0.0)
    allowed = limits(sample, scale, threshold * scale.span)
    counted &= ~np.isnan(allowed)
    variants: dict[tuple[Kind, str], list[int]] = {}
    for p, play in enumerate(sample.plays):
        if play.kind in ("policy", "change"):
            variants.setdefault((play.kind, play.name), []).append(p)
    return tuple(row(sample, scale, threshold, some, totals, allowed, counted, played) for some in variants.values())


def row(
    sample: Sample,
    scale: Scale,
    threshold: float,
    variants: Sequence[int],
    totals: Array,
    allowed: Array,
    counted: NDArray[np.bool_],
    played: NDArray[np.bool_],
) -> Row:
    """The row of one policy or change, from its variants' numbers."""
    excess = np.where(counted, totals - allowed, np.nan)
    scored = [p for p in variants if counted[p].any()]
    worst = max(scored, key=lambda p: float(np.nanmean(excess[p]))) if scored else variants[0]
    failed = max(float(np.mean(np.isnan(totals[p][played[p]]))) for p in variants)
    play, chosen = sample.plays[worst], counted[worst]
    mean = float(totals[worst][chosen].mean()) if scored else float("nan")
    limit = float(allowed[worst][chosen].mean()) if scored else float("nan")
    shown = int(np.nanargmax(excess[worst])) if scored else int(np.flatnonzero(played[worst])[0])
    passed = failed <= threshold and (not scored or kept(excess[worst][chosen], play, ROUNDING * scale.span))
    return Row(
        name=play.name,
        about=play.about,
        kind=play.kind,
        offers=play.offers,
        mean=mean,
        limit=limit,
        share=scale.share(mean),
        through="" if passed or not scored else through(sample, worst, chosen),
        failed=failed,
        passed=passed,
        example=play.texts[shown] or "",
        paid=float(totals[worst, shown]),
    )


def kept(excess: Array, play: Play, rounding: float) -> bool:
    """Whether what was paid beyond the limit on each problem is within bounds on average.

    A change may pay as much as the right response. A policy has to stay below its limit, where for guesses, whose
    part marks differ from problem to problem by chance, two standard errors are allowed for.
    """
    mean = float(excess.mean())
    if play.kind == "change":
        return mean <= rounding
    guessed = play.offers == "guess" and len(excess) > 1
    error = float(excess.std(ddof=1)) / math.sqrt(len(excess)) if guessed else 0.0
    return mean - 2 * error < -rounding


def through(sample: Sample, p: int, chosen: NDArray[np.bool_]) -> str:
    """The part that paid play p most beyond what a wrong response (for changes a right one, and for no answer the
    worst one) gets from it."""
    play = sample.plays[p]
    excess: dict[str, float] = {}
    for name, values in sample.scores.parts.items():
        table = sample.grid(values)
        kinds = {"change": "right"}.get(play.kind, "wrong")
        base = [n for n, other in enumerate(sample.plays) if other.kind == kinds]
        means = [float(np.nanmean(table[n])) for n in range(len(table)) if not np.isnan(table[n]).all()]
        deserved = min(means) if play.offers == "nothing" else float(np.nanmean(table[base]))
        excess[name] = float(np.nanmean(table[p][chosen])) - deserved
    name = max(excess, key=lambda part: excess[part])
    return name if excess[name] > 0 else ""
