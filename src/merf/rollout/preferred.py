"""Pairs that a policy makes of its own responses: one that keeps every rule, and the same with one rule broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from merf.core.problem import Problem
from merf.core.response import Response, Responses
from merf.core.rollouts import Rollouts
from merf.core.seams import Context, Rewards, Rollout
from merf.core.seeds import derive
from merf.core.steps import step_spans
from merf.policy.policy import pad_rows
from merf.rollout.imitated import imitation
from merf.rules.rule import LevelRule

TAG = re.compile(r"</?\w+>|\\boxed|####")

Edit = Callable[[Response, Random], str]
"""A response to a text that may break a rule; which one, if any, is for the rules to say."""


def pick_tag(text: str, rng: Random) -> tuple[int, int]:
    """Where one of the layout's tags lies; an empty place where there is none."""
    return rng.choice([found.span() for found in TAG.finditer(text)] or [(0, 0)])


def tag_dropped(response: Response, rng: Random) -> str:
    start, end = pick_tag(response.text, rng)
    return response.text[:start] + response.text[end:]


def tag_doubled(response: Response, rng: Random) -> str:
    start, end = pick_tag(response.text, rng)
    return response.text[:end] + response.text[start:]


def tag_moved(response: Response, rng: Random) -> str:
    """To another place between words."""
    start, end = pick_tag(response.text, rng)
    rest = response.text[:start] + response.text[end:]
    place = rng.choice([0, *(found.end() for found in re.finditer(r"\s+", rest)), len(rest)])
    return rest[:place] + response.text[start:end] + rest[place:]


def tags_exchanged(response: Response, rng: Random) -> str:
    """Two tags in each other's place."""
    tags = [found.span() for found in TAG.finditer(response.text)]
    if len(tags) < 2:
        return response.text
    (a, b), (c, d) = sorted(rng.sample(tags, 2))
    text = response.text
    return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]


def answer_bare(response: Response, rng: Random) -> str:
    """The answer without its tags."""
    return f"{response.thinking} {response.answer}".strip()


def reasoning_repeated(response: Response, rng: Random) -> str:
    return response.layout.render(f"{response.thinking} {response.thinking}", response.answer or "")


def reasoning_cut(response: Response, rng: Random) -> str:
    """Only the first of the steps, or none."""
    ends = [end for _, end in step_spans(response.thinking)]
    kept = response.thinking[: rng.choice([0, *ends[:1]])].rstrip()
    return response.layout.render(kept, response.answer or "")


EDITS: tuple[Edit, ...] = (
    *(tag_dropped, tag_doubled, tag_moved, tags_exchanged, answer_bare),
    *(reasoning_repeated, reasoning_cut),
)


def broken_rules(rules: Sequence[LevelRule], response: Response, text: str) -> set[str]:
    """The rules by which `text` is paid less than `response`, which keeps them all.

    An answer that can no longer be read where the layout is broken is still the same answer: then correctness is not
    what was broken.
    """
    edited = replace(response, text=text)
    both = Responses.of([response, edited])
    paid = {rule.name: rule.score(both) for rule in rules}
    broken = {name for name, (before, after) in paid.items() if not after >= before}
    unreadable = not edited.verdict.readable and (response.answer or "") in text
    return broken - {"correctness"} if unreadable and len(broken) > 1 else broken


@dataclass(frozen=True)
class ColdStart:
    """What `rollout` collects; in the first `steps` steps pairs take the place of its gradient.

    Every right response that reaches the best level of all of the rulebook's rules with levels is preferred to itself
    after an edit that breaks one of them, drawn at random among those that some edit breaks alone. With `only` it is
    always that rule. Pairs are learned from after the learning prompt of their response.
    """

    rollout: Rollout
    rulebook: Rewards
    steps: int
    only: str = ""

    def collect(self, problems: Sequence[Problem], ctx: Context) -> Rollouts:
        rollouts = self.rollout.collect(problems, ctx)
        if ctx.progress.step >= self.steps:
            return rollouts
        found = list(self.pairs(rollouts, ctx))
        silent = rollouts.masked(np.zeros(len(rollouts), bool))
        if not found:
            return silent
        together = Rollouts.concatenate([silent, paired(rollouts, found, ctx.policy)])
        return together.select(np.argsort(together.group, kind="stable").tolist())

    def pairs(self, rollouts: Rollouts, ctx: Context) -> Iterator[tuple[int, list[int]]]:
        """(row of a response, tokens of the same response with a rule broken)."""
        rules = [rule for rule in self.rulebook if isinstance(rule, LevelRule)]
        responses = ctx.responses(rollouts)
        best = np.all([rule.score(responses) >= rule.range[1] for rule in rules], axis=0)
        for row in rollouts.first_rows():
            response = responses[int(rollouts.trajectory[row])]
            if not best[rollouts.trajectory[row]] or response.verdict.correct is not True:
                continue
            rng = Random(
                derive("broken", response.problem.id, ctx.progress.step, int(rollouts.group[row]), response.text)
            )
            text = self.broken(rules, response, rng)
            opening = ctx.policy.encode(rollouts.prompts[row].learning).opening
            if text is not None and text.startswith(opening):
                end = int(rollouts.tokens[row, int(rollouts.lengths[row]) - 1])
                yield row, [*ctx.policy.tokenize(text.removeprefix(opening)), end]

    def broken(self, rules: Sequence[LevelRule], response: Response, rng: Random) -> str | None:
        """The response with one rule broken; None where no edit does that."""
        by_rule: dict[str, list[str]] = {}
        for edit in EDITS:
            text = edit(response, rng)
            broken = broken_rules(rules, response, text)
            if len(broken) == 1 and (not self.only or self.only in broken):
                by_rule.setdefault(broken.pop(), []).append(text)
        return rng.choice(by_rule[rng.choice(sorted(by_rule))]) if by_rule else None


def paired(rollouts: Rollouts, found: Sequence[tuple[int, list[int]]], policy: Any) -> Rollouts:
    """Two rows for each pair, the better and the worse, with what the reference thinks of their tokens."""
    rows = [row for row, _ in found for _ in range(2)]
    ids = [
        each for row, worse in found for each in (rollouts.tokens[row, : int(rollouts.lengths[row])].tolist(), worse)
    ]
    numbers = [sign * float(p) for p in range(1, len(found) + 1) for sign in (1, -1)]
    made = imitation(rollouts, rows, ids, numbers, policy)
    reference = policy.logprobs(made.learning, ids, "reference")
    width = made.tokens.shape[1]
    known = pad_rows([each.tolist() for each in reference], width, made.logprobs.dtype, policy.device)
    return replace(made, source=["pair"] * len(ids), extras={"pair": made.extras["imitate"], "reference": known})
