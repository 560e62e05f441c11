"""A process reward model that nobody labelled: a language model trained on outcomes, read token by token."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.special import expit, log_expit

from merf.core.response import Array, Responses, Scores
from merf.core.rollouts import Rollouts


class ImplicitRewards:
    """Rewards every token β (log π_φ − log π_ref), and trains φ so that σ of their sum tells right from wrong.

    φ starts as the policy and has an optimiser of its own; π_ref are the policy's reference weights. Each step is
    judged with φ as the steps before have left it; the first gives all tokens 0.
    """

    def __init__(self, beta: float = 0.05, lr: float = 1e-6) -> None:
        self.beta, self.lr = beta, lr
        self._policy: Any = None
        self._saved: Mapping[str, Any] = {}

    def _start(self, policy: Any) -> None:
        self._policy = policy
        self.model = copy.deepcopy(policy.model).eval()
        self.optimizer = torch.optim.AdamW((p for p in self.model.parameters() if p.requires_grad), lr=self.lr)
        if self._saved:
            self.model.load_state_dict(self._saved["model"])
            self.optimizer.load_state_dict(self._saved["optimizer"])
            self._saved = {}

    def judge(self, rollouts: Rollouts, scores: Scores, policy: Any) -> Scores:
        if self._policy is not policy:
            self._start(policy)
        with policy.as_reference() as frozen:
            reference = policy.padded_logprobs(rollouts, frozen)
        ratio = policy.padded_logprobs(rollouts, self.model) - reference
        return replace(scores, tokens=self.beta * ratio * rollouts.mask)

    def update(self, rollouts: Rollouts, scores: Scores) -> dict[str, float]:
        """One step on the cross-entropy between σ(Σ_t token rewards) and right or wrong."""
        assert scores.right is not None
        assert scores.tokens is not None
        per_row = scores.tokens.sum(1).double().cpu().numpy()
        logit = np.array([per_row[rows].sum() for rows in rollouts.attempts()])
        known = ~np.isnan(scores.right)
        if not known.any():
            return {}
        right = np.where(known, scores.right, 0.0)
        self._descend(rollouts, np.where(known, expit(logit) - right, 0.0) / known.sum())
        loss = -(right * log_expit(logit) + (1 - right) * log_expit(-logit))
        return {
            "judge/loss": float(loss[known].mean()),
            "judge/accuracy": float(((logit > 0) == (right > 0.5))[known].mean()),
        }

    def _descend(self, rollouts: Rollouts, slope: Array) -> None:
        """`slope` [A] is the loss's derivative by each attempt's sum. By the chain rule its product with the sums'
        gradients is the loss's, so the segments of an attempt need not share a pass."""
        rows = np.flatnonzero(rollouts.trajectory >= 0)
        responses = [rollouts.tokens[i, : int(rollouts.lengths[i])].tolist() for i in rows]
        learning = [rollouts.learning[int(i)] for i in rows]
        for part, logprobs, _ in self._policy.scored(learning, responses, self.model):
            picked = rows[part]
            weights = logprobs.new_tensor(slope[rollouts.trajectory[picked]])[:, None]
            counted = rollouts.mask[picked, : logprobs.shape[1]]
            (self.beta * weights * logprobs * counted).sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def examine(self, responses: Responses) -> dict[str, float]:
        """Nothing: it pays tokens, and is of no use once training is over."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        if self._policy is None:
            return dict(self._saved)
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._saved, self._policy = state, None
