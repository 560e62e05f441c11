"""A policy that says by one token, never written, whether it has answered right (arXiv 2510.14943)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from merf.core.response import Array, Responses, Scores
from merf.core.rollouts import Rollouts
from merf.evaluate.calibration import auroc
from merf.rules.conditions import right_answers


class LastToken:
    """The self-reward r_s = β (log π(z | x, y) − c): z is a token that the policy never writes, read right after
    its response y, and c the mean of log π(z | x, y) over the first step's responses, before any learning.

    From step number `heard` on it is given as the part "self-reward". It is in nobody's total: what is done with it is
    for the credit to say. `steps` counts the steps judged so far.
    """

    name = "self-reward"

    def __init__(self, beta: float = 0.1, token: str = "", heard: int = 0) -> None:
        self.beta, self.token, self.heard = beta, token, heard
        self.constant: float | None = None
        self.steps = 0
        self.rewards: Array = np.zeros(0)

    def ask(self, policy: Any, contexts: Sequence[list[int]]) -> Array:
        """log π(z | context) [N]."""
        probe = policy.unwritten(self.token)
        found: Array = np.concatenate(policy.logprobs(contexts, [[probe]] * len(contexts)))
        return found

    def judge(self, rollouts: Rollouts, scores: Scores, policy: Any) -> Scores:
        rows = [attempt[-1] for attempt in rollouts.attempts()]
        said = [rollouts.tokens[i, : int(rollouts.lengths[i])].tolist() for i in rows]
        found = self.ask(policy, [[*rollouts.learning[i], *ids] for i, ids in zip(rows, said, strict=True)])
        if self.constant is None:
            self.constant = float(found.mean())
            if -self.beta * self.constant < 1:
                raise ValueError(
                    f"the token that stands for being right has a mean log-probability of {self.constant:.1f}, so it "
                    f"can't rise by 1/beta = {1 / self.beta:.0f}: name a rarer token, or take a larger beta"
                )
        self.steps += 1
        self.rewards = self.beta * (found - self.constant)
        if self.steps <= self.heard:
            return scores
        return replace(scores, parts={**scores.parts, self.name: self.rewards})

    def update(self, rollouts: Rollouts, scores: Scores) -> dict[str, float]:
        """How far it was from the truth; what it learns by is the objective."""
        assert scores.right is not None
        known = ~np.isnan(scores.right)
        if not known.any():
            return {}
        gap = (self.rewards - scores.right)[known]
        facts = {"self/error": float(np.mean(gap**2)), "self/auroc": auroc(self.rewards, scores.right)}
        return {name: value for name, value in facts.items() if np.isfinite(value)}

    def examine(self, responses: Responses) -> dict[str, float]:
        """At test time: how well r_s tells right from wrong, and what answers win a vote, with and without it."""
        if self.constant is None or responses.likelihood is None:
            return {}
        contexts = [[*r.extras["prompt_ids"], *r.extras["ids"]] for r in responses]
        reward = self.beta * (self.ask(responses.likelihood, contexts) - self.constant)
        right = right_answers(responses)
        plain, weighted = (voted(responses, w) for w in (np.ones(len(responses)), np.clip(reward, 0.0, 1.0)))
        return {
            "self/auroc": auroc(reward, right),
            "self/accuracy": known_mean((reward > 0.5) == (right > 0.5), right),
            "self/vote": plain,
            "self/weighted_vote": weighted,
            "self/vote_gain": weighted - plain,
        }

    def state_dict(self) -> dict[str, Any]:
        return {"constant": self.constant, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.constant, self.steps = state["constant"], int(state["steps"])


def known_mean(values: Any, truth: Array) -> float:
    """The mean of `values` where the truth is known."""
    known = ~np.isnan(truth)
    return float(np.mean(values[known])) if known.any() else float("nan")


def voted(responses: Responses, weights: Array) -> float:
    """The share of problems whose heaviest answer is right: of the answers to each the weights are added up, equal
    texts counting as equal answers. Ties go to the answer given first; a response without an answer has no vote."""
    won = []
    for rows in responses.groups():
        votes: dict[str, float] = defaultdict(float)
        right: dict[str, bool] = {}
        for i in rows:
            answer = responses[i].answer
            if answer is not None:
                votes[answer] += float(weights[i])
                right[answer] = responses[i].verdict.correct is True
        won.append(right[max(votes, key=lambda answer: votes[answer])] if votes else False)
    return float(np.mean(won)) if won else float("nan")
