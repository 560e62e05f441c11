"""Everything that is played in an audit, scored once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from merf.audit.cases import Case, Track
from merf.audit.changes import CHANGES
from merf.audit.policies import POLICIES, Offer, Policy
from merf.core.problem import Problem
from merf.core.response import Array, Response, Responses, Scores, Verdict, Verifier
from merf.rules.rulebook import Rulebook

Kind = Literal["right", "wrong", "policy", "change"]


@dataclass(frozen=True)
class Play:
    """One way to respond, to every case: `texts[c]` is the response to case c, None where there is none."""

    name: str
    kind: Kind
    about: str
    texts: Sequence[str | None]
    offers: Offer | None = None
    finished: bool = True


def plays(cases: Sequence[Case]) -> list[Play]:
    """Honest responses, policies and changes, with one `Play` for each of their variants."""
    right = [() if case.solution is None else (case.respond(case.solution),) for case in cases]
    wrong = [tuple(map(case.respond, case.guesses)) for case in cases]
    made = [Play("right", "right", "", texts) for texts in transposed(right)]
    made += [Play("wrong", "wrong", "", texts) for texts in transposed(wrong)]
    for policy in POLICIES.values():
        variants = transposed([played_by(policy, case) for case in cases])
        made += [Play(policy.name, "policy", policy.about, v, policy.offers, policy.finished) for v in variants]
    for change in CHANGES.values():
        changed = [() if case.solution is None else change.texts(case, case.solution) for case in cases]
        made += [Play(change.name, "change", change.about, texts) for texts in transposed(changed)]
    return made


def played_by(policy: Policy, case: Case) -> Sequence[str]:
    """A policy's responses. In a layout without tags, what was meant as no answer may be one: then it isn't played."""
    texts = policy.texts(case)
    if policy.offers != "nothing" or not policy.finished:
        return texts
    return [text for text in texts if not (case.layout.parse(text).answer or "").strip()]


def transposed(texts: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """Variants of cases from cases of variants; None where a case has fewer than others."""
    most = max(map(len, texts))
    return [[some[n] if n < len(some) else None for some in texts] for n in range(most)]


@dataclass(frozen=True)
class Sample:
    """P plays on C cases: N responses, those to one problem being one group.

    play, case   [N] which play on which case a response is
    scores       what they were paid
    poor         [N] what they would be paid if the verifier gave nothing for junk, for no answer and for wrong ones
    """

    cases: Sequence[Case]
    plays: Sequence[Play]
    responses: Responses
    play: NDArray[np.int64]
    scores: Scores
    poor: Array

    @property
    def case(self) -> NDArray[np.int64]:
        return self.responses.group

    def grid(self, values: Array) -> Array:
        """Values of responses as [P, C]; NaN for what wasn't played."""
        table = np.full((len(self.plays), len(self.cases)), np.nan)
        table[self.play, self.case] = values
        return table

    def of_kind(self, kind: Kind) -> NDArray[np.bool_]:
        """Which responses are plays of a kind [N]."""
        return np.array([play.kind == kind for play in self.plays], bool)[self.play]


def sample(book: Rulebook, cases: Sequence[Case], verify: Verifier, track: Track) -> Sample:
    """Play everything and score it. ValueError where a rule raises."""
    made, verify = plays(cases), careful(verify)
    items: list[Response] = []
    where: list[tuple[int, int]] = []
    for c, case in enumerate(track(cases, "playing")):
        for p, play in enumerate(made):
            text = play.texts[c]
            if text is None:
                continue
            words = len(text.split())
            response = Response(case.problem, text, words, play.finished, layout=case.layout, verify=verify)
            _ = response.verdict  # here, where there is a progress bar
            items.append(response)
            where.append((p, c))
    play_numbers, case_numbers = np.array(where, np.int64).T
    responses = Responses.of(items, case_numbers.tolist())
    scores = paid(book, responses)
    undeserving = [
        (made[p].kind == "wrong" or made[p].offers in ("nothing", "junk")) and credited(items[i])
        for i, p in enumerate(play_numbers)
    ]
    poor = scores.total
    if any(undeserving):
        stripped = [without_credit(one) if strip else one for one, strip in zip(items, undeserving, strict=True)]
        poor = paid(book, replace(responses, items=stripped)).total
    return Sample(cases, made, responses, play_numbers, scores, poor)


def careful(verify: Verifier) -> Verifier:
    """The verifier, asked once for each answer; one that raises has failed."""
    known: dict[tuple[int, str], Verdict] = {}

    def asked(problem: Problem, answer: str) -> Verdict:
        key = (id(problem), answer)
        if key not in known:
            try:
                known[key] = verify(problem, answer)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # math-verify's timeout lies outside of Exception
                known[key] = Verdict(None, readable=False, note=f"the verifier failed: {type(error).__name__}: {error}")
        return known[key]

    return asked


def credited(response: Response) -> bool:
    """Whether the verifier gave the answer anything."""
    return bool(response.verdict.correct or response.verdict.score)


def without_credit(response: Response) -> Response:
    """The same response as it would be if the verifier gave it nothing."""
    verdict = response.verdict
    poor = replace(verdict, correct=False, score=None if verdict.score is None else 0.0)
    return replace(response, verify=lambda problem, answer: poor)


def paid(book: Rulebook, responses: Responses) -> Scores:
    """The rulebook's scores. ValueError, with the text, where a rule raises on some response."""
    try:
        return book.score(responses)
    except Exception as first:
        for response in responses:
            try:
                book.score(Responses.of([response]))
            except Exception as error:
                text = response.text if len(response.text) < 200 else f"{response.text[:200]}…"
                raise ValueError(f"a rule raised {type(error).__name__} ({error}) on the response {text!r}") from error
        raise ValueError(f"a rule raised {type(first).__name__} ({first}) on a group of responses") from first
