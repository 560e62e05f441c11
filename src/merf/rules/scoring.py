"""Scoring in worker processes: a rule that hangs, grows or crashes costs one response its score, and nothing else.

    with Scorer(book, seconds=10, workers=4) as scorer:
        scores = scorer.score(responses)  # what book.score(responses) gives, on four cores

Answers are judged in threads of this process, since verifiers bring limits of their own; then the rules run in
workers that can be killed. Where a group can't be scored within the limits, its responses are scored one by
one to find the culprit, which gets no score; the others are then scored as the group they are.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from merf.core.layout import ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Response, Responses, Scores, Verdict, no_verifier
from merf.rules.conditions import Standing
from merf.rules.rulebook import Rulebook
from merf.rules.similarity import Similar, encoder
from merf.tasks.deadline import Failure, KillablePool, in_order

AT_ONCE, CHARACTERS = 64, 1 << 20
"""Responses, and characters of them, that go to a worker in one message, unless one batch has more."""

ROUNDS = 2
"""Messages per worker that a batch is cut into at the least, so that none is idle for long at the end."""


class Outcome(NamedTuple):
    """Scores of a batch of N responses. `failed[i]`: a verifier failed, a rule raised or the rules were cut off,
    so that response i has no score though it might have had one. `warnings` are what rules complained of."""

    scores: Scores
    failed: NDArray[np.bool_]
    warnings: tuple[str, ...] = ()


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Scorer:
    """A rulebook with limits.

    seconds   limit of the rules for one response, as in `KillablePool`. A group may take as long in all before its
              responses are looked at one by one
    memory    bytes that the rules may use beyond what a worker holds at its start (Linux; None: no limit)
    workers   processes that score at the same time; the results don't depend on how many

    Functions of the main script can't be rules here: workers import them by their module.
    """

    def __init__(
        self, book: Rulebook, *, seconds: float = 10.0, memory: int | None = 1 << 30, workers: int | None = None
    ) -> None:
        self.book, self.seconds, self.workers = book, seconds, workers or cores()
        self.judges = "verdict" in wanted(book)
        self._pool: KillablePool[Responses, _Reply] = KillablePool(
            _Scoring(book), seconds=seconds, memory=memory, workers=self.workers, prepare=_Preparation(book)
        )

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def score(self, responses: Responses) -> Scores:
        """The rulebook's scores [N]. Groups are scored by themselves, unless a rule compares them."""
        if not len(responses) or compares_groups(self.book):
            return next(self.stream([responses])).scores
        rows = list(responses.groups())
        whole = _empty(self.book, len(responses))
        share = math.ceil(len(responses) / (ROUNDS * self.workers))
        outcomes = self.stream((_part(responses, rows_) for rows_ in rows), min(share, AT_ONCE))
        for where, outcome in zip(rows, outcomes, strict=True):
            _put(whole.scores, where, outcome.scores)
        return whole.scores

    def stream(self, batches: Iterable[Responses], at_once: int = AT_ONCE) -> Iterator[Outcome]:
        """The outcome of each batch, in order; reads only a little ahead. A batch is scored as a whole, as
        `Rulebook.score` does it; batches don't see each other. `at_once` responses, or a batch, go to a worker."""
        for outcomes in in_order(self._several, _gathered(iter(batches), at_once), self.workers):
            yield from outcomes

    def _several(self, batches: Sequence[Responses]) -> list[Outcome]:
        ready = [replace(batch, items=[self._judged(one) for one in batch]) for batch in batches]
        replies = iter(self._pool.batch([batch for batch in ready if len(batch)]))
        return [self._outcome(batch, next(replies)) if len(batch) else _empty(self.book, 0) for batch in ready]

    def _judged(self, response: Response) -> Response:
        """The response with its verdict, and without the verifier: ready to be sent to a worker."""
        verdict = judged(response) if self.judges else Verdict(correct=None)
        ready = replace(response, verify=no_verifier)
        # Both are kept where `once` would put them.
        ready.__dict__.update(parsed=response.parsed, verdict=verdict)
        return ready

    def _outcome(self, batch: Responses, reply: _Reply | Failure) -> Outcome:
        if isinstance(reply, Failure):
            return self._one_by_one(batch, reply)
        unknown = [self.judges and response.verdict.correct is None for response in batch]
        # Rules warn when they raise, without saying on which response.
        failed = np.isnan(reply.total) & (np.array(unknown, bool) | bool(reply.warnings))
        return Outcome(Scores(reply.total, reply.parts, reply.notes), failed, reply.warnings)

    def _one_by_one(self, batch: Responses, failure: Failure) -> Outcome:
        """Find the responses that can't be scored, and score the others without them."""
        outcome = _empty(self.book, len(batch))
        alone: list[_Reply | Failure] = [failure]
        if len(batch) > 1:
            alone = self._pool.batch([_part(batch, [i]) for i in range(len(batch))])
        for i, reply in enumerate(alone):
            if isinstance(reply, Failure):
                outcome.failed[i] = True
                outcome.scores.notes[i] = f"could not be scored ({reply.kind}: {reply.note})"
        good = np.flatnonzero(~outcome.failed)
        if not len(good):
            return outcome
        rest = _part(batch, good)
        reply = self._pool.call(rest, seconds=self.seconds * len(good))
        if isinstance(reply, Failure):
            outcome.failed[:] = True
            for i in good.tolist():
                outcome.scores.notes[i] = f"could not be scored with its group ({reply.kind}: {reply.note})"
            return outcome
        scored = self._outcome(rest, reply)
        _put(outcome.scores, good, scored.scores)
        outcome.failed[good] = scored.failed
        return outcome._replace(warnings=scored.warnings)


def judged(response: Response) -> Verdict:
    """The verdict on a response; a verifier that raises has failed."""
    try:
        return response.verdict
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # math-verify's timeout, for one, lies outside of Exception
        return Verdict(correct=None, readable=False, note=f"the verifier failed: {type(error).__name__}: {error}"[:500])


def wanted(book: Rulebook) -> frozenset[str]:
    """What of a response, besides its text, the rules look at: "verdict", "tokens", "finished"."""
    probe = _Probe(Problem("", answer="0"), ThinkAnswer().render("one and one", "2"), tokens=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book.score(Responses.of([probe]))
    return frozenset(probe.extras)


@dataclass(frozen=True)
class _Probe(Response):
    """A response that keeps account in `extras` of what is looked at."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("tokens", "finished", "verdict"):
            super().__getattribute__("extras")[name] = True
        return super().__getattribute__(name)

    @property
    def note(self) -> str:
        return ""


def compares_groups(book: Rulebook) -> bool:
    """Whether a response's score depends on how other questions of the batch fare."""
    return any(isinstance(value, Standing) for value in within(book))


def within(value: Any) -> Iterator[Any]:
    """The rules, conditions and layouts that a rulebook consists of, at any depth."""
    yield value
    parts = [getattr(value, entry.name) for entry in fields(value)] if is_dataclass(value) else value
    for part in parts if isinstance(parts, list | tuple) else ():
        yield from within(part)


def _gathered(batches: Iterator[Responses], at_once: int = AT_ONCE) -> Iterator[list[Responses]]:
    """Batches in lists that aren't worth dividing further."""
    gathered: list[Responses] = []
    responses = characters = 0
    for batch in batches:
        gathered.append(batch)
        responses += max(len(batch), 1)
        characters += sum(len(response.text) for response in batch)
        if responses >= at_once or characters >= CHARACTERS:
            yield gathered
            gathered, responses, characters = [], 0, 0
    if gathered:
        yield gathered


def _part(responses: Responses, rows: Sequence[int] | NDArray[np.intp]) -> Responses:
    return replace(responses, items=[responses.items[i] for i in rows], group=responses.group[np.asarray(rows)])


def _empty(book: Rulebook, n: int) -> Outcome:
    parts = {part.name: np.full(n, np.nan) for part in book}
    return Outcome(Scores(np.full(n, np.nan), parts, [""] * n), np.zeros(n, bool))


def _put(whole: Scores, rows: NDArray[np.intp], scores: Scores) -> None:
    """Fill in the scores of some rows."""
    whole.total[rows] = scores.total
    for name, values in scores.parts.items():
        whole.parts[name][rows] = values
    for i, note in zip(rows.tolist(), scores.notes, strict=True):
        whole.notes[i] = note


# What runs in the workers.


class _Reply(NamedTuple):
    total: NDArray[np.float64]
    parts: dict[str, NDArray[np.float64]]
    notes: list[str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Scoring:
    book: Rulebook

    def __call__(self, responses: Responses) -> _Reply:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            scores = self.book.score(responses)
        return _Reply(scores.total, scores.parts, scores.notes, tuple({str(one.message) for one in told}))


@dataclass(frozen=True)
class _Preparation:
    """Loads beforehand what is slow to load, so that no response's time is spent on it."""

    book: Rulebook

    def __call__(self) -> None:
        if any(isinstance(value, Similar) for value in within(self.book)):
            encoder()
