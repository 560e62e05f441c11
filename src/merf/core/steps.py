"""Reasoning in steps: where they stand in a text, which tokens they are made of, and which of them are right.

Steps are sentences and lines. A world whose derivations can be followed has a `StepChecker`; its labels become one
number per token in two moves, for any credit that wants to praise or blame steps rather than responses:

    checked = checker.check(problem, response.thinking).shifted(offset)
    step = token_steps(checked.spans, token_offsets(ids, decode))     # [T], -1 for tokens of no step
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Protocol

from merf.core.problem import Problem

Span = tuple[int, int]
"""First character, and one past the last."""

END = re.compile(r"[.!?](?=\s|$)|\n")


def step_spans(text: str) -> list[Span]:
    """Where the steps of a text lie: its sentences and lines that are not blank."""
    spans, begin = [], 0
    for end in END.finditer(text):
        if text[begin : end.start()].strip():
            spans.append((begin, end.end()))
        begin = end.end()
    return [*spans, (begin, len(text))] if text[begin:].strip() else spans


def token_offsets(ids: Sequence[int], decode: Callable[[list[int]], str]) -> list[Span]:
    """Where each token stands in `decode(ids)` [T], as a fast tokenizer's `offset_mapping` would say of that text.

    For tokens that were sampled: the same text tokenized again may be cut differently. A token that ends within a
    character covers the whole of it, and so do those that go on with it.
    """
    whole = decode(list(ids))
    pieces = [decode([one]) for one in ids]
    if "".join(pieces) == whole:
        ends = list(accumulate(map(len, pieces)))
    else:  # characters of several tokens, or a tokenizer that treats the first token differently
        so_far = (decode(list(ids[: count + 1])) for count in range(len(ids)))
        ends = [min(len(text), len(whole)) for text in so_far]
    spans, start = [], 0
    for end in ends:
        # What goes on with an unfinished character adds nothing to the text's length.
        spans.append((start, end) if end > start else (max(end - 1, 0), end))
        start = max(start, end)
    return spans


def token_steps(spans: Sequence[Span], offsets: Sequence[Span], text: str = "") -> list[int]:
    """For every token the number of the step that it begins in, -1 if it is in none [T].

    Blanks belong to the word behind them: a token is in the step of its first character that isn't white space, for
    which `text` is needed. Spans are in order and don't overlap.
    """
    starts, found = [start for start, _ in spans], []
    for start, end in offsets:
        piece = text[start:end]
        first = start + len(piece) - len(piece.lstrip()) if piece.strip() else start
        step = bisect_right(starts, first) - 1
        found.append(step if step >= 0 and first < spans[step][1] and end > start else -1)
    return found


@dataclass(frozen=True)
class CheckedStep:
    """A step and what is to be said of it.

    span   where it stands
    right  whether it is true and follows; None where it claims nothing that can be checked
    about  what it establishes, under the world's own name; empty if nothing
    note   what is wrong with it
    """

    span: Span
    right: bool | None
    about: str = ""
    note: str = ""


@dataclass(frozen=True)
class Checked:
    """A derivation, step by step; `needed` is what a complete one would establish."""

    steps: tuple[CheckedStep, ...]
    needed: tuple[str, ...] = ()

    @property
    def spans(self) -> list[Span]:
        return [step.span for step in self.steps]

    @property
    def established(self) -> frozenset[str]:
        """What some right step establishes."""
        return frozenset(step.about for step in self.steps if step.right and step.about)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is needed and was not established."""
        return tuple(one for one in self.needed if one not in self.established)

    @property
    def share(self) -> float:
        """The share of what is needed that was established: R_pv of PreMidRL (arXiv 2512.07783)."""
        return 1 - len(self.missing) / len(self.needed) if self.needed else 1.0

    @property
    def first_wrong(self) -> int | None:
        """The number of the first wrong step."""
        return next((number for number, step in enumerate(self.steps) if step.right is False), None)

    @property
    def valid(self) -> bool:
        """Nothing wrong, and nothing missing."""
        return self.first_wrong is None and not self.missing

    def shifted(self, by: int) -> Checked:
        """The same, for a text with `by` more characters before it."""
        moved = (replace(s, span=(s.span[0] + by, s.span[1] + by)) for s in self.steps)
        return replace(self, steps=tuple(moved))


class StepChecker(Protocol):
    """Follows derivations in one world. Pure, and total: any text can be checked."""

    def check(self, problem: Problem, reasoning: str) -> Checked:
        """Every step of the reasoning, in order."""
        ...

    def reference(self, problem: Problem) -> str:
        """A complete derivation, in the form that `check` reads."""
        ...
